// The ground floor: small things that every other folder may use and that know nothing of any of them.

export { ByteReader, type ByteSource, decodeUtf8, FormatError, MemorySource, SliceSource } from "./bytes";
export { durationText, groupDigits, hex, percent, shortCount, sizeText, THIN_SPACE } from "./number-text";
