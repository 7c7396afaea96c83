/*
 * VS Code's end of the adapter: a DebugAdapterInlineImplementation for each session, with a worker of its own. A guest
 * that spins keeps its worker busy and nothing else.
 *
 * The last session's worker stays after its guest has ended, so that what led there can be read; starting the next
 * guest or clearing the trap log lets it go.
 */

import * as vscode from "vscode";
import { AdapterLink } from "./adapter-link";
import type { ProtocolMessage, WorkerFactory } from "./worker-port";

/** Makes the adapters, and finds the link that belongs to a session. */
export class AdapterFactory implements vscode.DebugAdapterDescriptorFactory, vscode.Disposable {
  private readonly links = new Map<string, AdapterLink>();

  constructor(
    private readonly startWorker: WorkerFactory,
    private readonly log: vscode.LogOutputChannel,
  ) {}

  async createDebugAdapterDescriptor(session: vscode.DebugSession): Promise<vscode.DebugAdapterDescriptor> {
    const worker = await this.startWorker();
    const adapter = new InlineAdapter((send) => {
      const link = new AdapterLink(worker, {
        send,
        readFile: async (path) => vscode.workspace.fs.readFile(toUri(path)),
        trace: (direction, message) => {
          if (vscode.workspace.getConfiguration("ring1").get("trace")) {
            this.log.info(`${direction} ${JSON.stringify(message)}`);
          }
        },
      });
      this.links.set(session.id, link);
      return link;
    });
    return new vscode.DebugAdapterInlineImplementation(adapter);
  }

  /** The link of a session, also after its guest has ended; undefined when another adapter serves it. */
  linkOf(sessionId: string): AdapterLink | undefined {
    return this.links.get(sessionId);
  }

  /** Ends a session's worker. */
  release(sessionId: string): void {
    this.links.get(sessionId)?.dispose();
    this.links.delete(sessionId);
  }

  dispose(): void {
    for (const id of [...this.links.keys()]) {
      this.release(id);
    }
  }
}

class InlineAdapter implements vscode.DebugAdapter {
  private readonly messages = new vscode.EventEmitter<vscode.DebugProtocolMessage>();
  readonly onDidSendMessage = this.messages.event;
  private readonly link: AdapterLink;

  constructor(connect: (send: (message: ProtocolMessage) => void) => AdapterLink) {
    this.link = connect((message) => this.messages.fire(message as vscode.DebugProtocolMessage));
  }

  handleMessage(message: vscode.DebugProtocolMessage): void {
    this.link.fromClient(message as ProtocolMessage);
  }

  /** Called when VS Code is done; the link outlives this object until the factory releases it. */
  dispose(): void {
    this.messages.dispose();
  }
}

/** A file path or a URI as one URI. */
export function toUri(path: string): vscode.Uri {
  return /^[a-z][a-z0-9+.-]+:\/\//i.test(path) ? vscode.Uri.parse(path, true) : vscode.Uri.file(path);
}
