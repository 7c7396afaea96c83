// launch.json, looked at before it reaches the engine; and which files are offered as guest kernels.
import assert from "node:assert/strict";
import { describe, it } from "mocha";
import { looksLikeGuest } from "../../src/extension/configuration/image-header";
import { complaintsAbout, withAbsolutePaths } from "../../src/extension/configuration/launch-attributes";

describe("a launch configuration", () => {
  const messages = (configuration: Record<string, unknown>): string[] =>
    complaintsAbout(configuration).map(({ message }) => message);

  it("with every attribute right is taken", () => {
    const good = {
      type: "ring1",
      request: "launch",
      name: "x",
      preLaunchTask: "make",
      __sessionId: "1",
      program: "a.elf",
      symbols: ["b.elf"],
      memory: 64,
      cmdline: "",
      disks: ["d.img,ro", { path: "e.img", readOnly: true }],
      abi: "3.x",
      stopOnEntry: true,
      trapBreakpoints: [14, "#GP"],
      sourceMap: { "/build": "/k" },
      seed: 0,
      noDebug: false,
    };
    assert.deepEqual(messages(good), []);
  });

  it("with a value of the wrong kind is answered with what to write", () => {
    assert.match(messages({ program: 5 })[0]!, /"program" is 5\. Write the path of a file\./);
    assert.match(messages({ cmdline: ["a"] })[0]!, /Write one text/);
    assert.match(messages({ trapBreakpoints: [300] })[0]!, /0 to 255/);
    assert.match(messages({ stopOnEntry: "yes" })[0]!, /Write true or false/);
    assert.match(messages({ sourceMap: ["/a"] })[0]!, /object of prefixes/);
    assert.match(messages({ seed: -1 })[0]!, /0 or more/);
    assert.match(messages({ memory: true })[0]!, /number of MiB/);
  });

  it("with a misspelled attribute is asked whether another was meant", () => {
    assert.match(messages({ progam: "a.elf" })[0]!, /Did you mean "program"\?/);
    assert.match(messages({ foo: 1 })[0]!, /Remove it/);
  });

  it("gets absolute paths, also where a disk has a suffix", () => {
    const absolute = (path: string): string => `/ws/${path}`;
    const resolved = withAbsolutePaths(
      { program: "a.elf", symbols: ["u.elf"], disks: ["d.img,ro", { path: "e.img" }], cmdline: "x" },
      absolute,
    );
    assert.deepEqual(resolved, {
      program: "/ws/a.elf",
      symbols: ["/ws/u.elf"],
      disks: ["/ws/d.img,ro", { path: "/ws/e.img" }],
      cmdline: "x",
    });
  });
});

describe("files offered as guest kernels", () => {
  const elf = (bits: 1 | 2, type: number, machine: number): Uint8Array => {
    const bytes = new Uint8Array(64);
    bytes.set([0x7f, 0x45, 0x4c, 0x46, bits, 1, 1]);
    bytes.set([type, 0, machine, 0], 16);
    return bytes;
  };

  it("are 32-bit x86 executables and bzImages", () => {
    assert.equal(looksLikeGuest(elf(1, 2, 3)), true);
    const bzImage = new Uint8Array(0x210);
    bzImage.set(new TextEncoder().encode("HdrS"), 0x202);
    assert.equal(looksLikeGuest(bzImage), true);
  });

  it("are no 64-bit programs, objects, other machines, texts or empty files", () => {
    const others = [elf(2, 2, 62), elf(1, 1, 3), elf(1, 2, 40), new TextEncoder().encode("text"), new Uint8Array(0)];
    assert.deepEqual(others.map(looksLikeGuest), [false, false, false, false, false]);
  });
});
