/*
 * The little DOM that our pages need: make an element with attributes and children, and draw a few icons as outlines in
 * the current colour. Texts are always set as text, never as HTML: symbols and console lines come from a guest.
 *
 * No framework: a page is a few dozen elements and one list, which grid.ts draws itself.
 */

type Child = Node | string | undefined | false;
type Attributes = Record<string, string | number | boolean | undefined | ((event: never) => void)>;

/** Makes an element. `on...` attributes are listeners; `true` sets an empty attribute, `false` and undefined none. */
export function h<Tag extends keyof HTMLElementTagNameMap>(
  tag: Tag,
  attributes: Attributes = {},
  ...children: Child[]
): HTMLElementTagNameMap[Tag] {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") {
      element.addEventListener(name.slice(2).toLowerCase(), value as EventListener);
    } else if (value !== undefined && value !== false) {
      element.setAttribute(name, value === true ? "" : String(value));
    }
  }
  append(element, children);
  return element;
}

/** Replaces an element's children. */
export function replaceChildren(element: Element, ...children: Child[]): void {
  element.replaceChildren();
  append(element, children);
}

function append(element: Element, children: Child[]): void {
  element.append(...children.filter((child) => child !== undefined && child !== false));
}

/** Outlines in a 16 by 16 box. */
const ICONS = {
  follow: "M8 2v9M4.5 7.5 8 11l3.5-3.5M3 14h10",
  pause: "M5.5 3v10M10.5 3v10",
  play: "M5 3l8 5-8 5z",
  clear: "M2 4h11M2 8h6M2 12h5M10 9l4 4M14 9l-4 4",
  export: "M8 10V2.5M5 5.5l3-3 3 3M3 9v4.5h10V9",
  close: "M4 4l8 8M12 4l-8 8",
  chevron: "M4.5 6.5 8 10l3.5-3.5",
  ascending: "M4 10l4-4 4 4",
  descending: "M4 6l4 4 4-4",
} as const;

export type IconName = keyof typeof ICONS;

/** An icon; hidden from screen readers, so what it is on needs a name. */
export function icon(name: IconName): SVGSVGElement {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", "0 0 16 16");
  svg.setAttribute("aria-hidden", "true");
  svg.classList.add("icon");
  const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
  path.setAttribute("d", ICONS[name]);
  svg.append(path);
  return svg;
}

/** A button with an icon, a text, or both. */
export function button(
  options: { icon?: IconName; text?: string; title: string; class?: string },
  onClick: () => void,
): HTMLButtonElement {
  return h(
    "button",
    { type: "button", title: options.title, "aria-label": options.title, class: options.class, onclick: onClick },
    options.icon && icon(options.icon),
    options.text && h("span", {}, options.text),
  );
}
