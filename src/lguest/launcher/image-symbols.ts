/**
 * Names for addresses in an image, for logs: "kernel_main+0x13". An image without symbols has no names, and that is no error; neither
 * is one with a broken symbol table.
 */
import { openElf } from "../../elf";

/** A function that names an address, or gives undefined. Never throws, whatever the image is. */
export function openSymbols(image: Uint8Array): (address: number) => string | undefined {
  try {
    const elf = openElf(image, { symbolsOnly: true });
    return (address) => {
      const found = elf.symbolAt(address);
      if (found === undefined || !found.isInside) return undefined;
      return found.offset === 0 ? found.symbol.name : `${found.symbol.name}+0x${found.offset.toString(16)}`;
    };
  } catch {
    return () => undefined;
  }
}
