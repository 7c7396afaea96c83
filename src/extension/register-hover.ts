/*
 * Holding the mouse over a register in assembly evaluates it, as over a variable in C: tells VS Code which part of the
 * line is a register and how the debugger's expressions write it (`%eax` and `eax` are `$eax`).
 *
 * Only in assembly: elsewhere `ax` may be anybody's variable.
 */

import * as vscode from "vscode";
import { registerAt } from "./register-name";

const ASSEMBLY = ["gas", "nasm", "asm", "asm-intel-x86-generic", "asm-collection", "ring1-disassembly"];

/** Registers the provider for all assembly languages. */
export function registerRegisterHover(): vscode.Disposable {
  return vscode.languages.registerEvaluatableExpressionProvider(ASSEMBLY, {
    provideEvaluatableExpression: (document, position) => {
      const found = registerAt(document.lineAt(position).text, position.character);
      if (found !== undefined) {
        const { start, end, expression } = found;
        return new vscode.EvaluatableExpression(new vscode.Range(position.line, start, position.line, end), expression);
      }
      const word = document.getWordRangeAtPosition(position, /[A-Za-z_.][\w.$]*/);
      return word && new vscode.EvaluatableExpression(word);
    },
  });
}
