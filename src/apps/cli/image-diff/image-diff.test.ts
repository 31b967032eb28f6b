// Differences of images out of their archives: layers in any order and compression, whiteouts, links, what counts as a change.

import assert from "node:assert/strict";
import { test } from "node:test";
import { gzipSync, zstdCompressSync } from "node:zlib";
import { tarEnd, tarHeader, tarPadding } from "../tar-headers.ts";
import { readImageTree } from "./archive.ts";
import { compareTrees, type Difference } from "./compare.ts";
import type { TreeNode } from "./layer.ts";

interface Member {
  readonly name: string;
  readonly text?: string;
  readonly mode?: number;
  readonly time?: number;
  /** Type flag and target of a link. */
  readonly link?: readonly [string, string];
}

function tar(members: readonly (Member & { readonly bytes?: Buffer })[]): Buffer {
  const parts = members.flatMap(({ name, text = "", bytes = Buffer.from(text), mode = 0o644, time = 0, link }) => {
    const header = tarHeader(name, { size: link === undefined ? bytes.length : 0, mode, time });
    if (link !== undefined) {
      header.write(link[0], 156, "latin1");
      header.write(link[1], 157, "utf8");
      header.fill(" ", 148, 156);
      const sum = header.reduce((total, byte) => total + byte, 0);
      header.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148, "latin1");
      return [header];
    }
    return [header, bytes, tarPadding(bytes.length)];
  });
  return Buffer.concat([...parts, tarEnd]);
}

/** An archive whose layers come in reverse order, before the manifest. */
function archive(layers: readonly Buffer[]): Buffer {
  const names = layers.map((_, index) => `blobs/sha256/${index}`);
  return tar([
    ...layers.map((bytes, index) => ({ name: names[index] ?? "", bytes })).toReversed(),
    { name: "manifest.json", text: JSON.stringify([{ Config: "c", RepoTags: [], Layers: names }]) },
  ]);
}

async function* pieces(bytes: Buffer, size: number): AsyncGenerator<Buffer> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

const tree = (layers: readonly Buffer[]): Promise<TreeNode> => readImageTree(pieces(archive(layers), 700));

async function diff(a: readonly Buffer[], b: readonly Buffer[], times = false): Promise<readonly string[]> {
  const show = ({ kind, path, what }: Difference): string =>
    `${kind} ${path}${what.length > 0 ? ` (${what.join(",")})` : ""}`;
  return compareTrees(await tree(a), await tree(b), times).map(show);
}

const base = tar([
  { name: "./", mode: 0o755 },
  { name: "etc/", mode: 0o755 },
  { name: "etc/a", text: "one" },
  { name: "etc/b", text: "two" },
  { name: "etc/l", link: ["2", "a"] },
  { name: "opt/deep/x", text: "x" },
]);

test("an image does not differ from itself, whatever compresses its layers", async () => {
  assert.deepEqual(await diff([base], [gzipSync(base)]), []);
  assert.deepEqual(await diff([base], [zstdCompressSync(base)]), []);
});

test("added, changed and deleted paths, sorted", async () => {
  const top = tar([
    { name: "etc/.wh.b" },
    { name: "etc/a", text: "ONE" },
    { name: "etc/l", link: ["2", "b"] },
    { name: "etc/a-b", text: "" },
    { name: "new/", mode: 0o755 },
    { name: "new/f", text: "f" },
    { name: "opt/.wh.deep" },
  ]);
  assert.deepEqual(await diff([base], [base, top]), [
    "C /etc/a (content)",
    "A /etc/a-b",
    "D /etc/b",
    "C /etc/l (target)",
    "A /new",
    "A /new/f",
    "D /opt/deep",
    "D /opt/deep/x",
  ]);
});

test("an opaque directory hides what lies below, and keeps what its own layer brings, in any order", async () => {
  const top = tar([{ name: "etc/c", text: "c" }, { name: "etc/.wh..wh..opq" }]);
  assert.deepEqual(await diff([base], [base, top]), ["D /etc/a", "D /etc/b", "A /etc/c", "D /etc/l"]);
});

test("a hard link is the file that it links to, of a lower layer too", async () => {
  const linked = tar([{ name: "etc/h", link: ["1", "etc/a"] }]);
  const copied = tar([{ name: "etc/h", text: "one" }]);
  assert.deepEqual(await diff([base, linked], [base, copied]), []);
  await assert.rejects(tree([tar([{ name: "h", link: ["1", "gone"] }])]), /links to \/gone, which is not there/);
});

test("modes count, times only when they are asked for, and a file in place of a directory is a change of type", async () => {
  const mode = tar([{ name: "etc/a", text: "one", mode: 0o600 }]);
  const time = tar([{ name: "etc/a", text: "one", time: 5 }]);
  const kind = tar([{ name: "etc", text: "" }]);
  assert.deepEqual(await diff([base], [base, mode]), ["C /etc/a (mode)"]);
  assert.deepEqual(await diff([base], [base, time]), []);
  assert.deepEqual(await diff([base], [base, time], true), ["C /etc/a (time)"]);
  assert.deepEqual(await diff([base], [base, kind]), ["C /etc (type)", "D /etc/a", "D /etc/b", "D /etc/l"]);
});

test("long names, of PAX and of GNU", async () => {
  const long = `${"d/".repeat(80)}f`;
  const record = (text: string): string => {
    let length = text.length + 3;
    while (`${length} ${text}\n`.length !== length) length += 1;
    return `${length} ${text}\n`;
  };
  const extended = (type: string, text: string): Buffer => {
    const header = tar([{ name: "x", text }]).subarray(0, -1024);
    header.write(type, 156, "latin1");
    header.fill(" ", 148, 156);
    const sum = header.subarray(0, 512).reduce((total, byte) => total + byte, 0);
    header.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148, "latin1");
    return header;
  };
  const file = tar([{ name: "short", text: "same" }]);
  const pax = Buffer.concat([extended("x", record(`path=${long}`)), file]);
  const gnu = Buffer.concat([extended("L", `${long}\0`), file]);
  assert.deepEqual(await diff([pax], [gnu]), []);
  assert.equal((await diff([tar([])], [pax])).at(-1), `A /${long}`);
});

test("damaged archives are refused: cut short, a layer missing, a path that leaves the image", async () => {
  const whole = archive([base]);
  await assert.rejects(readImageTree(pieces(whole.subarray(0, 2000), 512)), /unexpected end of the archive/);
  await assert.rejects(
    readImageTree(pieces(tar([{ name: "manifest.json", text: '[{"Layers":["l"]}]' }]), 512)),
    /does not have the layer l/,
  );
  await assert.rejects(readImageTree(pieces(tar([]), 512)), /no manifest\.json/);
  await assert.rejects(tree([tar([{ name: "../x" }])]), /names a path outside itself/);
});
