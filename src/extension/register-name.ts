/*
 * Finds the register at a place in a line of assembly, AT&T or Intel, and writes it as the debugger's expressions do
 * (`$eax`). Without `vscode`, for tests.
 *
 * Intel SDM Vol. 1, section 3.4: the register names of IA-32.
 */

const REGISTERS =
  /%?\b(e?(?:[abcd]x|[sd]i|[bs]p|ip|flags)|[abcd][lh]|[c-gs]s|cr[0-4]|dr[0-7]|[gil]dtr|tr|st\([0-7]\)|xmm[0-7]|mm[0-7])(?!\w)/gi;

export interface RegisterPlace {
  /** Columns in the line, the second behind the last character. */
  start: number;
  end: number;
  /** `$eax`. */
  expression: string;
}

/** The register that column `column` of the line touches; undefined when there is none, or it is in a comment. */
export function registerAt(line: string, column: number): RegisterPlace | undefined {
  const comment = /(^|\s)(#|;|\/\/)/.exec(line);
  if (comment !== null && column > comment.index) {
    return undefined;
  }
  for (const match of line.matchAll(REGISTERS)) {
    const start = match.index;
    const end = start + match[0].length;
    if (column >= start && column <= end) {
      return { start, end, expression: `$${match[1]!.toLowerCase()}` };
    }
  }
  return undefined;
}
