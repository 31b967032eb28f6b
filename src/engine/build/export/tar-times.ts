// A tar with all times of its members set to one: for SOURCE_DATE_EPOCH. The tar is gantry-pack's: ustar headers, and extended
// ones with records of their member, of which those of times are dropped. Memory holds one header.
// Source: POSIX.1-2017 pax.

import { EngineError } from "../../../base/errors.ts";

const block = 512;
const maxExtensionBytes = 4 << 20;

/** @throws InvalidParameter a malformed header */
export async function* setTarTimes(tar: AsyncIterable<Uint8Array>, epochSeconds: number): AsyncGenerator<Uint8Array> {
  const reader = new BlockReader(tar);
  for (;;) {
    const header = await reader.exactly(block);
    if (header === undefined) return;
    if (header.every((byte) => byte === 0)) {
      yield header;
      continue;
    }
    const size = sizeOf(header);
    const padded = size + ((block - (size % block)) % block);
    if (header[156] === 0x78) {
      if (size > maxExtensionBytes) throw new EngineError("InvalidParameter", "extended header too large");
      const body = (await reader.exactly(padded)) ?? Buffer.alloc(0);
      const kept = withoutTimes(body.subarray(0, size));
      if (kept.length === 0) continue;
      setOctal(header, 124, 11, kept.length);
      setTime(header, epochSeconds);
      yield header;
      yield Buffer.concat([kept, Buffer.alloc((block - (kept.length % block)) % block)]);
      continue;
    }
    setTime(header, epochSeconds);
    yield header;
    yield* reader.some(padded);
  }
}

function setTime(header: Buffer, epochSeconds: number): void {
  setOctal(header, 136, 11, Math.max(0, epochSeconds));
  header.fill(0x20, 148, 156);
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148, "latin1");
}

function setOctal(header: Buffer, at: number, digits: number, value: number): void {
  header.write(`${value.toString(8).padStart(digits, "0")}\0`, at, "latin1");
}

function sizeOf(header: Buffer): number {
  const first = header[124] ?? 0;
  if ((first & 0x80) !== 0) {
    let size = first & 0x3f;
    for (const byte of header.subarray(125, 136)) size = size * 256 + byte;
    return size;
  }
  const digits = header.toString("latin1", 124, 136).replaceAll("\0", "").trim();
  const size = digits === "" ? 0 : Number.parseInt(digits, 8);
  if (!Number.isSafeInteger(size)) throw new EngineError("InvalidParameter", "invalid tar header: bad size");
  return size;
}

/** Records are "<length> key=value\n"; values may hold any byte. */
function withoutTimes(records: Buffer): Buffer {
  const kept: Buffer[] = [];
  for (let at = 0; at < records.length; ) {
    const space = records.indexOf(0x20, at);
    const length = Number(records.toString("latin1", at, space));
    if (space === -1 || !Number.isSafeInteger(length) || length < 5 || at + length > records.length)
      throw new EngineError("InvalidParameter", "invalid tar header: bad extended header");
    const record = records.subarray(at, at + length);
    const key = record.toString("utf8", space + 1 - at, record.indexOf(0x3d));
    if (key !== "mtime" && key !== "atime" && key !== "ctime") kept.push(record);
    at += length;
  }
  return Buffer.concat(kept);
}

class BlockReader {
  readonly #chunks: AsyncIterator<Uint8Array>;
  #left: Buffer = Buffer.alloc(0);

  constructor(chunks: AsyncIterable<Uint8Array>) {
    this.#chunks = chunks[Symbol.asyncIterator]();
  }

  /** A copy of so many bytes; undefined at the end. @throws InvalidParameter it ends in between */
  async exactly(size: number): Promise<Buffer | undefined> {
    const parts: Buffer[] = [];
    for await (const part of this.some(size)) parts.push(part);
    return parts.length === 0 && size > 0 ? undefined : Buffer.concat(parts);
  }

  async *some(size: number): AsyncGenerator<Buffer> {
    for (let left = size; left > 0; ) {
      if (this.#left.length === 0) {
        const next = await this.#chunks.next();
        if (next.done === true) {
          if (left === size) return;
          throw new EngineError("InvalidParameter", "unexpected EOF");
        }
        this.#left = Buffer.from(next.value.buffer, next.value.byteOffset, next.value.length);
      }
      const part = this.#left.subarray(0, left);
      this.#left = this.#left.subarray(part.length);
      left -= part.length;
      yield part;
    }
  }
}
