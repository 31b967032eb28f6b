// The index of a kept tree: one file beside it that says what is in it. A line for the tree, a line per entry, a sum over both.
// Written beside and renamed: it is either whole or not there; a tree without a sound index does not count.

import { createHash } from "node:crypto";
import { closeSync, openSync, readFileSync, readSync, renameSync, writeFileSync } from "node:fs";
import type { Digest } from "../../../base/digest.ts";
import type { EntryType, SourceEntry } from "./index.ts";

const version = 1;
const maxHeaderBytes = 4096;

export interface TreeHeader {
  /** Names the tree in `du` and `prune`. */
  readonly id: string;
  /** sha256 of the key, in hex: keys are clients' texts. */
  readonly keyHash: string;
  /** The same of the directory of which the tree is a part. */
  readonly familyHash: string;
  readonly description: string;
  /** RFC 3339. */
  readonly createdAt: string;
  /** The boot in which it was written: files are not synced, so that a power failure may have emptied some. */
  readonly bootId: string;
  /** Of the files. */
  readonly bytes: number;
}

type Line = readonly [
  path: string,
  type: EntryType,
  mode: number,
  uid: number,
  gid: number,
  size: number,
  mtimeNs: string,
  linkName: string,
  digest: string,
  xattrs: Readonly<Record<string, string>> | 0,
  device: readonly [number, number] | 0,
];

export function renderIndex(header: TreeHeader, entries: readonly SourceEntry[]): string {
  const lines = [JSON.stringify({ version, ...header })];
  for (const entry of entries) lines.push(JSON.stringify(lineOf(entry)));
  const text = `${lines.join("\n")}\n`;
  return `${text}${sumOf(text)}\n`;
}

/** @returns undefined when it is malformed */
export function parseIndex(text: string): { header: TreeHeader; entries: SourceEntry[] } | undefined {
  const end = text.length - 65;
  const body = text.slice(0, Math.max(0, end));
  if (sumOf(body) !== text.slice(end, -1)) return undefined;
  const lines = body.slice(0, -1).split("\n");
  const header = parseHeader(lines[0] ?? "");
  if (header === undefined) return undefined;
  return { header, entries: lines.slice(1).map((line) => entryOf(JSON.parse(line) as Line)) };
}

/** Only the first line: enough to know what there is. @returns undefined when it is missing or malformed */
export function readHeader(path: string): TreeHeader | undefined {
  let file: number;
  try {
    file = openSync(path, "r");
  } catch {
    return undefined;
  }
  try {
    const buffer = Buffer.alloc(maxHeaderBytes);
    const text = buffer.toString("utf8", 0, readSync(file, buffer, 0, maxHeaderBytes, 0));
    const end = text.indexOf("\n");
    return end === -1 ? undefined : parseHeader(text.slice(0, end));
  } finally {
    closeSync(file);
  }
}

/** @returns undefined when it is missing or malformed */
export function readIndex(path: string): SourceEntry[] | undefined {
  try {
    return parseIndex(readFileSync(path, "utf8"))?.entries;
  } catch {
    return undefined;
  }
}

export function writeIndex(path: string, header: TreeHeader, entries: readonly SourceEntry[]): void {
  writeFileSync(`${path}.new`, renderIndex(header, entries), { mode: 0o600 });
  renameSync(`${path}.new`, path);
}

function sumOf(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}

function parseHeader(line: string): TreeHeader | undefined {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    return undefined;
  }
  const header = value as Partial<TreeHeader & { version: number }> | null;
  if (typeof header !== "object" || header === null || header.version !== version) return undefined;
  const { id, keyHash, familyHash, description, createdAt, bootId, bytes } = header;
  for (const text of [id, keyHash, familyHash, description, createdAt, bootId])
    if (typeof text !== "string") return undefined;
  if (typeof bytes !== "number") return undefined;
  return { id, keyHash, familyHash, description, createdAt, bootId, bytes } as TreeHeader;
}

function lineOf(entry: SourceEntry): Line {
  const names = Object.keys(entry.xattrs);
  return [
    entry.path,
    entry.type,
    entry.mode,
    entry.uid,
    entry.gid,
    entry.size,
    entry.mtimeNs.toString(),
    entry.linkName,
    entry.digest ?? "",
    names.length === 0
      ? 0
      : Object.fromEntries(names.map((name) => [name, Buffer.from(entry.xattrs[name] ?? []).toString("base64")])),
    entry.device === undefined ? 0 : [entry.device.major, entry.device.minor],
  ];
}

function entryOf(line: Line): SourceEntry {
  const [path, type, mode, uid, gid, size, mtimeNs, linkName, digest, xattrs, device] = line;
  return {
    path,
    type,
    mode,
    uid,
    gid,
    size,
    mtimeNs: BigInt(mtimeNs),
    linkName,
    digest: digest === "" ? undefined : (digest as Digest),
    xattrs:
      xattrs === 0
        ? {}
        : Object.fromEntries(Object.entries(xattrs).map(([name, value]) => [name, Buffer.from(value, "base64")])),
    ...(device === 0 ? {} : { device: { major: device[0], minor: device[1] } }),
  };
}
