// The list of modules that a Go binary carries, found while its bytes pass: no more than a piece of it is in memory. Binaries
// of Go before 1.18 point to it instead of holding it in place; of those nothing is said.
// Source: Go, debug/buildinfo: the header, and the strings behind it.

import type { PackageRecord } from "./package-record.ts";

const magic = Buffer.from("\xff Go buildinf:", "latin1");
/** The header is aligned so, and so long; strings follow. */
const alignment = 16;
const headerBytes = 32;
const inlineStrings = 2;
const maxInfoBytes = 1 << 20;
const maxStringBytes = 1 << 20;
/** Marks around the list. */
const markBytes = 16;

/** @returns the text of the list; undefined when the file has none */
export async function findGoModules(chunks: AsyncIterable<Uint8Array>): Promise<string | undefined> {
  let window = Buffer.alloc(0);
  /** Of the window's first byte in the file. */
  let base = 0;
  let wanted = 0;
  for await (const chunk of chunks) {
    window = Buffer.concat([window, chunk]);
    if (window.length < wanted) continue;
    for (;;) {
      const at = find(window, base);
      if (at === -1) {
        const drop = Math.max(0, window.length - magic.length - alignment);
        const aligned = drop - ((base + drop) % alignment);
        if (aligned > 0) [window, base] = [window.subarray(aligned), base + aligned];
        wanted = 0;
        break;
      }
      const end = at + headerBytes + maxInfoBytes;
      const read = readStrings(window.subarray(at));
      if (read === null && window.length < end) {
        [window, base] = [window.subarray(at), base + at];
        // Doubled, so that a long list is not looked at for every chunk.
        wanted = Math.min(headerBytes + maxInfoBytes, window.length * 2);
        break;
      }
      if (read !== undefined && read !== null) return read;
      [window, base] = [window.subarray(at + alignment), base + at + alignment];
    }
  }
  const at = find(window, base);
  if (at === -1) return undefined;
  const read = readStrings(window.subarray(at));
  return read ?? undefined;
}

function find(window: Buffer, base: number): number {
  for (let at = window.indexOf(magic); at !== -1; at = window.indexOf(magic, at + 1))
    if ((base + at) % alignment === 0) return at;
  return -1;
}

/** @returns null when more bytes are needed; undefined when it is no list */
function readStrings(bytes: Buffer): string | null | undefined {
  if (bytes.length < headerBytes) return null;
  if (((bytes[15] ?? 0) & inlineStrings) === 0) return undefined;
  const version = readString(bytes, headerBytes);
  if (version === null || version === undefined) return version;
  if (!/^(?:go|devel)/.test(version.text.toString("latin1"))) return undefined;
  const list = readString(bytes, version.end);
  if (list === null || list === undefined) return list;
  const { text } = list;
  if (text.length < 2 * markBytes + 1 || text[text.length - markBytes - 1] !== 0x0a) return undefined;
  return `go\t${version.text.toString("latin1")}\n${text.subarray(markBytes, -markBytes).toString("utf8")}`;
}

function readString(bytes: Buffer, at: number): { readonly text: Buffer; readonly end: number } | null | undefined {
  let length = 0;
  for (let shift = 0, next = at; shift < 35; shift += 7, next++) {
    const byte = bytes[next];
    if (byte === undefined) return null;
    length += (byte & 0x7f) * 2 ** shift;
    if ((byte & 0x80) !== 0) continue;
    if (length > maxStringBytes) return undefined;
    const end = next + 1 + length;
    return end > bytes.length ? null : { text: bytes.subarray(next + 1, end), end };
  }
  return undefined;
}

/** The main module and those that it is made of; a replaced one is what replaces it. The toolchain is "stdlib". */
export function parseGoModules(text: string, path: string): readonly PackageRecord[] {
  const found: PackageRecord[] = [];
  for (const line of text.split("\n")) {
    const [kind, name = "", version = ""] = line.split("\t");
    if (kind === "go") found.push({ type: "golang", name: "stdlib", version: name.replace(/^go/, ""), path });
    if ((kind === "mod" || kind === "dep") && name !== "")
      found.push({ type: "golang", name, version: version === "(devel)" ? "" : version, path });
    if (kind === "=>" && name !== "") found[found.length - 1] = { type: "golang", name, version, path };
  }
  return found;
}
