/*
 * The guest's console as a terminal: what the guest writes appears there (early console and device in one), what is
 * typed goes to the guest, raw, as a serial line would. Its end is announced with the reason and the exit status, and
 * what was said stays readable.
 */

import * as vscode from "vscode";
import type { GuestSession, Sessions } from "./sessions";

/** Output that is kept while the terminal is not open yet, in characters. */
const MAX_WAITING = 256 * 1024;

export class ConsoleTerminals implements vscode.Disposable {
  private readonly terminals = new Map<GuestSession, GuestTerminal>();
  private readonly disposables: vscode.Disposable[];

  constructor(sessions: Sessions) {
    this.disposables = [
      sessions.onDidChange(({ guest, change }) => {
        if (change === "started") {
          this.open(guest);
        } else if (change === "ended" || (change === "state" && guest.isClosed)) {
          this.terminals.get(guest)?.end(guest);
        }
      }),
      sessions.onDidWriteConsole(({ guest, body }) => {
        const note = body.dropped ? `\r\n[${vscode.l10n.t("{0} characters left out", body.dropped)}]\r\n` : "";
        this.terminals.get(guest)?.write(note + body.text);
      }),
      vscode.window.onDidCloseTerminal((closed) => {
        for (const [guest, { terminal }] of this.terminals) {
          if (terminal === closed) {
            this.terminals.delete(guest);
          }
        }
      }),
    ];
  }

  /** Shows a guest's console; opens it anew when it was closed. */
  show(guest: GuestSession): void {
    (this.terminals.get(guest) ?? this.open(guest)).terminal.show(false);
  }

  dispose(): void {
    for (const disposable of this.disposables) {
      disposable.dispose();
    }
    for (const { terminal } of this.terminals.values()) {
      terminal.dispose();
    }
  }

  private open(guest: GuestSession): GuestTerminal {
    for (const [other, { terminal, hasEnded }] of this.terminals) {
      if (hasEnded && other.imageName === guest.imageName) {
        this.terminals.delete(other);
        terminal.dispose();
      }
    }
    const opened = new GuestTerminal(guest);
    this.terminals.set(guest, opened);
    if (vscode.workspace.getConfiguration("ring1").get("console.revealOnStart", true)) {
      opened.terminal.show(true);
    }
    return opened;
  }
}

class GuestTerminal implements vscode.Pseudoterminal {
  readonly terminal: vscode.Terminal;
  hasEnded = false;
  private readonly writes = new vscode.EventEmitter<string>();
  readonly onDidWrite = this.writes.event;
  private isOpen = false;
  private waiting = "";

  constructor(private readonly guest: GuestSession) {
    this.terminal = vscode.window.createTerminal({
      name: guest.imageName,
      pty: this,
      iconPath: new vscode.ThemeIcon("vm", new vscode.ThemeColor("ring1.guest")),
      isTransient: true,
    });
  }

  open(): void {
    this.isOpen = true;
    this.writes.fire(this.waiting);
    this.waiting = "";
  }

  close(): void {
    this.isOpen = false;
  }

  handleInput(text: string): void {
    if (this.hasEnded) {
      return;
    }
    this.guest.request("ring1/console", { text }).catch((error: Error) => this.note(error.message));
  }

  /** A guest ends lines with `\n`; a terminal wants `\r\n`. */
  write(text: string): void {
    const lines = text.replace(/\r?\n/g, "\r\n");
    if (this.isOpen) {
      this.writes.fire(lines);
    } else {
      this.waiting = (this.waiting + lines).slice(-MAX_WAITING);
    }
  }

  end({ ended, killed }: GuestSession): void {
    if (this.hasEnded) {
      return;
    }
    this.hasEnded = true;
    const reason = ended?.reason ?? killed?.reason ?? vscode.l10n.t("The session was closed.");
    this.note(ended === undefined ? reason : `${reason} ${vscode.l10n.t("Exit status {0}.", ended.exitStatus)}`);
  }

  /** A line of our own, told apart from the guest's by its look. */
  private note(text: string): void {
    this.write(`\r\n\u001b[2;3m${text}\u001b[0m\r\n`);
  }
}
