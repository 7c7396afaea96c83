// Numbers as people read them, the same in every view: addresses are eight hexadecimal digits, counts have thin
// separators (48 211 903), large figures are short where there is little room (48.2 M). Nothing here depends on a
// locale, so texts are equal on every computer and tests can compare them.

/** Narrow no-break space: separates groups of three digits and never breaks a line. */
export const THIN_SPACE = "\u202f";

/**
 * Upper-case hexadecimal digits without prefix, at least `digits` of them. Negative numbers count as unsigned 32 bits.
 */
export function hex(value: number, digits = 8): string {
  return (value < 0 ? value >>> 0 : value).toString(16).toUpperCase().padStart(digits, "0");
}

/** A whole number in groups of three digits. */
export function groupDigits(value: number): string {
  return String(Math.trunc(value)).replace(/\B(?=(\d{3})+$)/g, THIN_SPACE);
}

/** At most three digits and a unit: `950`, `9.5 k`, `48.2 M`, `1.2 G`. */
export function shortCount(value: number): string {
  const units = ["", "k", "M", "G", "T"];
  let unit = 0;
  let scaled = value;
  while (scaled >= 999.5 && unit < units.length - 1) {
    scaled /= 1000;
    unit++;
  }
  if (unit === 0) {
    return String(Math.trunc(value));
  }
  const text = scaled >= 99.95 ? String(Math.round(scaled)) : scaled.toFixed(1);
  return `${text}${THIN_SPACE}${units[unit]}`;
}

/** A share as a whole percentage; what is neither nothing nor everything never reads as 0 or 100. */
export function percent(part: number, whole: number): string {
  if (whole <= 0 || part <= 0) {
    return `0${THIN_SPACE}%`;
  }
  const rounded = Math.round((100 * part) / whole);
  if (rounded === 0) {
    return `<${THIN_SPACE}1${THIN_SPACE}%`;
  }
  return `${part < whole ? Math.min(rounded, 99) : rounded}${THIN_SPACE}%`;
}

/** A duration given in nanoseconds, in the unit that fits: `850 ns`, `1.5 ms`. */
export function durationText(nanoseconds: number): string {
  const units = ["ns", "µs", "ms", "s"];
  let unit = 0;
  let scaled = nanoseconds;
  while (scaled >= 1000 && unit < units.length - 1) {
    scaled /= 1000;
    unit++;
  }
  return `${Number.isInteger(scaled) ? scaled : scaled.toFixed(1)}${THIN_SPACE}${units[unit]}`;
}

/** A size in bytes, in the largest binary unit that divides it: `4 KiB`, `4 GiB`, `103 bytes`. */
export function sizeText(bytes: number): string {
  const units = ["bytes", "KiB", "MiB", "GiB"];
  let unit = 0;
  let scaled = bytes;
  while (scaled >= 1024 && scaled % 1024 === 0 && unit < units.length - 1) {
    scaled /= 1024;
    unit++;
  }
  return `${groupDigits(scaled)}${THIN_SPACE}${scaled === 1 && unit === 0 ? "byte" : units[unit]}`;
}
