// Reads the outer tar of an image archive: members one after the other, bodies as chunks, never more than one chunk in
// memory. Layers inside are unpacked by shim/unpack*.c; this reader only has to find them.
// Sources: POSIX.1-2017 pax, "ustar Interchange Format"; GNU tar manual, "Basic Tar Format".

import { EngineError } from "../../base/errors.ts";
import { type ByteSource, unexpectedEnd } from "./byte-source.ts";

export interface TarMember {
  /** As in the archive, extended headers applied. */
  readonly name: string;
  readonly type: "file" | "directory" | "symlink" | "hardlink" | "other";
  readonly linkName: string;
  readonly sizeBytes: number;
  /** What is left of the data; what the caller leaves unread is skipped. */
  chunks(): AsyncIterable<Uint8Array>;
  /** Up to `size` bytes from the start of the body, not consumed; to be called before any is read. */
  peek(size: number): Promise<Uint8Array>;
}

const block = 512;
const maxExtensionBytes = 1 << 20;

function invalid(what: string): EngineError {
  return new EngineError("InvalidParameter", `invalid tar header: ${what}`);
}

/** True for 512 bytes that start a tar: a header with the right checksum, or the zeros of an empty archive. */
export function isTarHeader(bytes: Uint8Array): boolean {
  if (bytes.length < block) return false;
  if (bytes.every((byte) => byte === 0)) return true;
  let sum = 8 * 0x20;
  let signedSum = sum;
  for (let i = 0; i < block; i++) {
    if (i >= 148 && i < 156) continue;
    const byte = bytes[i] ?? 0;
    sum += byte;
    signedSum += byte > 127 ? byte - 256 : byte;
  }
  const stated = Number.parseInt(text(bytes, 148, 8).trim(), 8);
  return stated === sum || stated === signedSum;
}

function text(header: Uint8Array, at: number, size: number): string {
  const field = header.subarray(at, at + size);
  const end = field.indexOf(0);
  return Buffer.from(end === -1 ? field : field.subarray(0, end)).toString();
}

function sizeOf(header: Uint8Array): number {
  const field = header.subarray(124, 136);
  const first = field[0] ?? 0;
  let size = 0;
  if ((first & 0x80) !== 0) {
    if ((first & 0x40) !== 0) throw invalid("negative size");
    size = first & 0x3f;
    for (const byte of field.subarray(1)) size = size * 256 + byte;
  } else {
    const digits = text(field, 0, 12).trim();
    if (!/^[0-7]*$/.test(digits)) throw invalid("bad size");
    size = digits === "" ? 0 : Number.parseInt(digits, 8);
  }
  if (!Number.isSafeInteger(size)) throw invalid("size out of range");
  return size;
}

function nameOf(header: Uint8Array): string {
  const name = text(header, 0, 100);
  const prefix = text(header, 257, 6) === "ustar" && header[262] === 0 ? text(header, 345, 155) : "";
  return prefix === "" ? name : `${prefix}/${name}`;
}

/** The records of an extended header. @throws InvalidParameter malformed */
function parsePax(bytes: Uint8Array): Map<string, string> {
  const records = new Map<string, string>();
  const whole = Buffer.from(bytes);
  for (let at = 0; at < whole.length; ) {
    const space = whole.indexOf(0x20, at);
    const length = space === -1 ? Number.NaN : Number(whole.toString("latin1", at, space));
    const end = at + length;
    if (!Number.isSafeInteger(length) || length < 5 || end > whole.length || whole[end - 1] !== 0x0a)
      throw invalid("bad extended header");
    const record = whole.toString("utf8", space + 1, end - 1);
    const equals = record.indexOf("=");
    if (equals < 1 || record.includes("\0")) throw invalid("bad extended header");
    records.set(record.slice(0, equals), record.slice(equals + 1));
    at = end;
  }
  return records;
}

function typeOf(flag: number, name: string): TarMember["type"] {
  switch (String.fromCharCode(flag)) {
    case "\0":
    case "0":
    case "7":
      return name.endsWith("/") ? "directory" : "file";
    case "1":
      return "hardlink";
    case "2":
      return "symlink";
    case "5":
      return "directory";
    default:
      return "other";
  }
}

/**
 * The members of a tar.
 *
 * @throws InvalidParameter a malformed header, or "unexpected EOF" for a truncated archive
 */
export async function* readTar(source: ByteSource): AsyncGenerator<TarMember> {
  let extensions = new Map<string, string>();
  for (;;) {
    const header = await source.exactly(block);
    if (header === undefined || header.every((byte) => byte === 0)) return;
    if (!isTarHeader(header)) throw invalid("wrong checksum");
    const flag = header[156] ?? 0;
    const stated = sizeOf(header);
    if (flag === 0x78 || flag === 0x67 || flag === 0x4c || flag === 0x4b) {
      if (stated > maxExtensionBytes) throw invalid("extended header too large");
      const bytes = stated === 0 ? new Uint8Array(0) : await source.exactly(stated);
      if (bytes === undefined) throw unexpectedEnd();
      if (flag === 0x78) for (const [key, value] of parsePax(bytes)) extensions.set(key, value);
      else if (flag === 0x4c) extensions.set("path", text(bytes, 0, bytes.length));
      else if (flag === 0x4b) extensions.set("linkpath", text(bytes, 0, bytes.length));
      await skip(source, padding(stated));
      continue;
    }
    const name = extensions.get("path") ?? nameOf(header);
    const linkName = extensions.get("linkpath") ?? text(header, 157, 100);
    const type = typeOf(flag, name);
    const paxSize = extensions.get("size");
    if (paxSize !== undefined && !/^\d{1,15}$/.test(paxSize)) throw invalid("bad size");
    // Only files carry data; "other" includes sparse files, which no writer of image archives makes.
    if (type === "other" && (flag === 0x53 || extensions.has("GNU.sparse.major"))) throw invalid("sparse member");
    const sizeBytes = type === "file" || type === "other" ? Number(paxSize ?? stated) : 0;
    extensions = new Map();
    const body = new Body(source, sizeBytes);
    yield { name, type, linkName, sizeBytes, chunks: () => body.chunks(), peek: (size) => body.peek(size) };
    await skip(source, body.left + padding(sizeBytes));
  }
}

/** The data of one member. */
class Body {
  readonly #source: ByteSource;
  left: number;

  constructor(source: ByteSource, size: number) {
    this.#source = source;
    this.left = size;
  }

  async peek(size: number): Promise<Uint8Array> {
    return this.#source.peek(Math.min(size, this.left));
  }

  async *chunks(): AsyncGenerator<Uint8Array> {
    while (this.left > 0) {
      const bytes = await this.#source.some(this.left);
      if (bytes === undefined) throw unexpectedEnd();
      this.left -= bytes.length;
      yield bytes;
    }
  }
}

function padding(size: number): number {
  return (block - (size % block)) % block;
}

async function skip(source: ByteSource, size: number): Promise<void> {
  for (let left = size; left > 0; ) {
    const bytes = await source.some(left);
    if (bytes === undefined) throw unexpectedEnd();
    left -= bytes.length;
  }
}
