/*
 * Memory and code as read-only documents: `ring1-memory:` a hex dump, `ring1-disassembly:` a listing, both of the
 * current guest at an address. They read what DAP offers every client (readMemory, disassemble), follow the guest from
 * stop to stop, and need no other extension.
 */

import * as vscode from "vscode";
import { hex } from "../base";
import type { Sessions } from "./sessions";

const MEMORY = "ring1-memory";
const DISASSEMBLY = "ring1-disassembly";
const DUMP_BYTES = 1024;
const INSTRUCTIONS_BEFORE = 32;
const INSTRUCTIONS_AFTER = 96;

interface DisassembledInstruction {
  address: string;
  instructionBytes?: string;
  instruction: string;
  symbol?: string;
  location?: { name?: string };
  line?: number;
}

export class MemoryDocuments implements vscode.TextDocumentContentProvider, vscode.Disposable {
  private readonly changes = new vscode.EventEmitter<vscode.Uri>();
  private readonly disposables: vscode.Disposable[];
  readonly onDidChange = this.changes.event;

  constructor(private readonly sessions: Sessions) {
    this.disposables = [
      this.changes,
      vscode.workspace.registerTextDocumentContentProvider(MEMORY, this),
      vscode.workspace.registerTextDocumentContentProvider(DISASSEMBLY, this),
      vscode.workspace.onDidOpenTextDocument((document) => void colour(document)),
      sessions.onDidChange(({ guest, change }) => {
        if (change === "state" && guest === sessions.current && guest.isStopped) {
          this.readAgain();
        }
      }),
    ];
  }

  /** Opens 1 KiB of linear memory around an address. */
  async showMemory(address: number): Promise<void> {
    await this.show(MEMORY, address, ".hex", "plaintext", 0);
  }

  /** Opens the instructions around an address. */
  async showDisassembly(address: number): Promise<void> {
    await this.show(DISASSEMBLY, address, ".ring1-disassembly", "ring1-disassembly", address);
  }

  async provideTextDocumentContent(uri: vscode.Uri): Promise<string> {
    const address = Number.parseInt(uri.path.slice(1), 16);
    const guest = this.sessions.current;
    if (guest === undefined || !guest.isReachable) {
      return vscode.l10n.t("No guest is running.");
    }
    try {
      return uri.scheme === MEMORY ? await this.dump(address) : await this.listing(address);
    } catch (error) {
      return error instanceof Error ? error.message : String(error);
    }
  }

  dispose(): void {
    for (const disposable of this.disposables) {
      disposable.dispose();
    }
  }

  private async show(scheme: string, address: number, extension: string, language: string, reveal: number) {
    const uri = vscode.Uri.from({ scheme, path: `/${hex(address)}${extension}` });
    const document = await vscode.workspace.openTextDocument(uri);
    await vscode.languages.setTextDocumentLanguage(document, language);
    const editor = await vscode.window.showTextDocument(document, { preview: true });
    const line = document
      .getText()
      .split("\n")
      .findIndex((text) => text.startsWith(hex(reveal)));
    if (line > 0) {
      editor.selection = new vscode.Selection(line, 0, line, 0);
      editor.revealRange(editor.selection, vscode.TextEditorRevealType.InCenter);
    }
  }

  private readAgain(): void {
    for (const document of vscode.workspace.textDocuments) {
      if (document.uri.scheme === MEMORY || document.uri.scheme === DISASSEMBLY) {
        this.changes.fire(document.uri);
      }
    }
  }

  private async dump(address: number): Promise<string> {
    const start = address & ~0xf;
    const response = (await this.sessions.current!.requestAny("readMemory", {
      memoryReference: `0x${hex(start)}`,
      count: DUMP_BYTES,
    })) as { address: string; data?: string; unreadableBytes?: number } | undefined;
    const bytes = Uint8Array.from(atob(response?.data ?? ""), (character) => character.charCodeAt(0));
    return dumpText(start >>> 0, bytes, DUMP_BYTES);
  }

  private async listing(address: number): Promise<string> {
    const response = (await this.sessions.current!.requestAny("disassemble", {
      memoryReference: `0x${hex(address)}`,
      instructionOffset: -INSTRUCTIONS_BEFORE,
      instructionCount: INSTRUCTIONS_BEFORE + INSTRUCTIONS_AFTER,
      resolveSymbols: true,
    })) as { instructions: DisassembledInstruction[] } | undefined;
    const instructions = response?.instructions ?? [];
    return instructions.flatMap((each, index) => instructionLines(each, instructions[index - 1])).join("\n");
  }
}

/** Listings that the adapter makes (the Switcher has no source file) are assembly too. */
async function colour(document: vscode.TextDocument): Promise<void> {
  if (document.uri.scheme === "debug" && document.languageId === "plaintext" && hasAddresses(document.getText())) {
    await vscode.languages.setTextDocumentLanguage(document, DISASSEMBLY);
  }
}

function hasAddresses(text: string): boolean {
  return /^[0-9A-F]{8} {2}[0-9A-F]{2}/m.test(text.slice(0, 20_000));
}

/** One instruction; before it its function's name and its source line, where those are others than just before. */
function instructionLines(instruction: DisassembledInstruction, before?: DisassembledInstruction): string[] {
  const { symbol, location, line } = instruction;
  const address = hex(Number.parseInt(instruction.address, 16));
  const bytes = (instruction.instructionBytes ?? "").toUpperCase().padEnd(24);
  const isOther = location?.name !== before?.location?.name || line !== before?.line;
  const source = location?.name === undefined ? "" : `; ${location.name}${line === undefined ? "" : `:${line}`}`;
  return [
    ...(symbol && !symbol.includes("+") ? ["", `${symbol}:`] : []),
    ...(source !== "" && isOther ? [source] : []),
    `${address}  ${bytes}  ${instruction.instruction}`,
  ];
}

/** Sixteen bytes a line, in hexadecimal and as characters; what cannot be read is `??`. */
export function dumpText(start: number, bytes: Uint8Array, count: number): string {
  const lines: string[] = [];
  for (let offset = 0; offset < count; offset += 16) {
    const row = Array.from({ length: 16 }, (_, index) => bytes[offset + index]);
    const digits = row.map((byte) => (byte === undefined ? "??" : hex(byte, 2)));
    const text = row.map((byte) =>
      byte === undefined ? " " : byte >= 32 && byte < 127 ? String.fromCharCode(byte) : ".",
    );
    lines.push(
      `${hex((start + offset) >>> 0)}  ${digits.slice(0, 8).join(" ")}  ${digits.slice(8).join(" ")}  ${text.join("")}`,
    );
  }
  return lines.join("\n");
}
