/*
 * Sources and modules: files that the debug information names, and the Switcher's listing, which exists only here and
 * is served as a virtual document.
 */
import type { DebugProtocol } from "@vscode/debugprotocol";
import { hex } from "../../base";
import type { CodeLocation } from "../../debugger";
import { type AdapterState, LISTING_REFERENCE } from "../adapter-state";
import { noSuchSource } from "../errors";

const LISTING_NAME = "Switcher and host stubs";
const MAX_SOURCES = 3000;

export function fileName(path: string): string {
  return path.replace(/^.*[/\\]/, "");
}

/** Source, line and so on of a place; the Switcher's code stands in its listing. */
export function sourceOf(
  state: AdapterState,
  place: CodeLocation | undefined,
): { source?: DebugProtocol.Source; line: number; column: number } {
  if (place?.path !== undefined && place.line !== undefined) {
    const isThere = state.dbg.isSourceThere(place.path);
    const source: DebugProtocol.Source = {
      name: fileName(place.path),
      path: place.path,
      ...(isThere
        ? {}
        : { presentationHint: "deemphasize", origin: "not on this computer; see sourceMap in launch.json" }),
    };
    return { source, line: state.clientLine(place.line), column: state.clientColumn(1) };
  }
  const line = place === undefined ? undefined : listingLine(state, place.address);
  if (line !== undefined)
    return { source: listingSource(), line: state.clientLine(line), column: state.clientColumn(1) };
  return { line: 0, column: 0 };
}

function listingSource(): DebugProtocol.Source {
  return {
    name: LISTING_NAME,
    sourceReference: LISTING_REFERENCE,
    presentationHint: "normal",
    origin: "assembled by Ring 1",
  };
}

/** The line of the listing that has an address. */
function listingLine(state: AdapterState, address: number): number | undefined {
  const { listing } = state.dbg.session.vm;
  const index = listing.findIndex(
    (line) => line.bytes.length > 0 && address >= line.address && address < line.address + line.bytes.length,
  );
  return index < 0 ? undefined : index + 1;
}

export function source(state: AdapterState, args: DebugProtocol.SourceArguments) {
  const reference = args.source?.sourceReference ?? args.sourceReference;
  if (reference !== LISTING_REFERENCE) throw noSuchSource(reference);
  const lines = state.dbg.session.vm.listing.map(({ address, bytes, text }) => {
    const digits = bytes.map((byte) => hex(byte, 2)).join(" ");
    return bytes.length === 0 ? text : `${hex(address)}  ${digits.padEnd(24)}  ${text}`;
  });
  return { content: `${lines.join("\n")}\n`, mimeType: "text/x-asm" };
}

export function loadedSources(state: AdapterState) {
  const sources: DebugProtocol.Source[] = state.dbg.session.symbols
    .sourcePaths()
    .slice(0, MAX_SOURCES)
    .map((path) => ({ name: fileName(path), path }));
  return { sources: [...sources, listingSource()] };
}

export function modules(state: AdapterState, args: DebugProtocol.ModulesArguments) {
  const { symbols, vm } = state.dbg.session;
  const all = symbols.images.map(({ path, elf, dwarf }, id) => {
    const segments = elf.loadSegments;
    const start = Math.min(...segments.map((segment) => segment.virtualAddress));
    const end = Math.max(...segments.map((segment) => segment.virtualAddress + segment.memorySize));
    const { noLines, versions } = dwarf.summary();
    const range = segments.length === 0 ? "" : `0x${hex(start)}-0x${hex(end)}`;
    return {
      id,
      name: fileName(path),
      path,
      symbolStatus: noLines ?? `Symbols and lines (DWARF ${versions.join(", ")})`,
      symbolFilePath: path,
      addressRange: range,
      range,
    };
  });
  const switcher = `0x${hex(vm.switcherAddress)}-0xFFFFFFFF`;
  const own = {
    id: all.length,
    name: "Switcher",
    symbolStatus: "Symbols and listing",
    addressRange: switcher,
    range: switcher,
  };
  const list = [...all, own];
  const start = args?.startModule ?? 0;
  const count = args?.moduleCount || list.length;
  return { modules: list.slice(start, start + count), totalModules: list.length };
}
