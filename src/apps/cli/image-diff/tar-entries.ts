// Reads tar archives from a stream: ustar, PAX and GNU long names and numbers. Memory is bounded: bodies are handed through,
// and headers of headers are limited. Source: POSIX.1-2024 pax; GNU tar manual, "Basic Tar Format".

/** A member; what of its body was not read is dropped before the next one. */
export interface TarEntry {
  readonly name: string;
  /** "0" file, "1" hard link, "2" symbolic link, "3" and "4" devices, "5" directory, "6" FIFO. */
  readonly type: string;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: number;
  /** Seconds, as PAX has them: "1700000000.123456789". */
  readonly mtime: string;
  readonly linkName: string;
  readonly major: number;
  readonly minor: number;
  /** SCHILY.xattr.* records. */
  readonly xattrs: ReadonlyMap<string, string>;
  body(): AsyncGenerator<Buffer, void, undefined>;
}

const block = 512;
const maxExtendedBytes = 1024 * 1024;

/** Bytes of a stream on demand. */
export class ByteReader {
  readonly #source: AsyncIterator<Buffer>;
  #buffered: Buffer = Buffer.alloc(0);

  constructor(source: AsyncIterable<Buffer>) {
    this.#source = source[Symbol.asyncIterator]();
  }

  /** Up to `length` bytes without taking them; fewer at the end of the stream. */
  async peek(length: number): Promise<Buffer> {
    while (this.#buffered.length < length) {
      const { value, done } = await this.#source.next();
      if (done === true) break;
      this.#buffered = this.#buffered.length === 0 ? value : Buffer.concat([this.#buffered, value]);
    }
    return this.#buffered.subarray(0, length);
  }

  /** @throws Error the stream ends before */
  async read(length: number): Promise<Buffer> {
    const bytes = await this.peek(length);
    if (bytes.length < length) throw new Error("unexpected end of the archive");
    this.#buffered = this.#buffered.subarray(length);
    return bytes;
  }

  /** `length` bytes in pieces as they come. @throws Error the stream ends before */
  async *take(length: number): AsyncGenerator<Buffer, void, undefined> {
    let left = length;
    while (left > 0) {
      if (this.#buffered.length === 0) await this.peek(1);
      if (this.#buffered.length === 0) throw new Error("unexpected end of the archive");
      const piece = this.#buffered.subarray(0, left);
      this.#buffered = this.#buffered.subarray(piece.length);
      left -= piece.length;
      yield piece;
    }
  }
}

/** What names are read as; "latin1" gives byte strings, a character for each byte. */
type NameEncoding = "utf8" | "latin1";

function text(bytes: Buffer, encoding: NameEncoding = "utf8"): string {
  const end = bytes.indexOf(0);
  return bytes.toString(encoding, 0, end < 0 ? bytes.length : end);
}

function number(bytes: Buffer): number {
  const lead = bytes[0] ?? 0;
  if ((lead & 0x80) === 0) {
    const digits = text(bytes).trim();
    if (!/^[0-7]*$/.test(digits)) throw new Error("a tar header is damaged");
    return digits === "" ? 0 : Number.parseInt(digits, 8);
  }
  let value = BigInt(lead & 0x7f);
  for (const byte of bytes.subarray(1)) value = (value << 8n) | BigInt(byte);
  if ((lead & 0x40) !== 0) value -= 1n << BigInt(bytes.length * 8 - 1);
  return Number(value);
}

/** Whether a block's checksum is right. */
export function isTarHeader(header: Buffer): boolean {
  if (header.length < block) return false;
  let sum = 0;
  for (let i = 0; i < block; i += 1) sum += i >= 148 && i < 156 ? 32 : (header[i] ?? 0);
  try {
    return number(header.subarray(148, 156)) === sum;
  } catch {
    return false;
  }
}

function parsePax(bytes: Buffer, encoding: NameEncoding): ReadonlyMap<string, string> {
  const records = new Map<string, string>();
  let at = 0;
  while (at < bytes.length) {
    const space = bytes.indexOf(32, at);
    const length = Number(bytes.toString("latin1", at, space));
    if (space < 0 || !Number.isSafeInteger(length) || length < 5 || at + length > bytes.length)
      throw new Error("a PAX header is damaged");
    const record = bytes.subarray(space + 1, at + length - 1);
    const equals = record.indexOf(61);
    const key = record.toString("utf8", 0, equals);
    // Values of attributes are bytes, not text.
    records.set(key, record.toString(key.startsWith("SCHILY.xattr.") ? "latin1" : encoding, equals + 1));
    at += length;
  }
  return records;
}

/** Members until the end of the archive. @throws Error it is damaged */
export async function* tarEntries(
  reader: ByteReader,
  encoding: NameEncoding = "utf8",
): AsyncGenerator<TarEntry, void, undefined> {
  let global: ReadonlyMap<string, string> = new Map();
  let local: ReadonlyMap<string, string> = new Map();
  let longName: string | undefined;
  let longLink: string | undefined;
  for (;;) {
    if ((await reader.peek(1)).length === 0) return;
    const header = Buffer.from(await reader.read(block));
    if (header.every((byte) => byte === 0)) return;
    if (!isTarHeader(header)) throw new Error("a tar header is damaged");
    const type = String.fromCharCode(header[156] ?? 0).replace(/[\0 7S]/, "0");
    const pax = new Map([...global, ...local]);
    const size =
      pax.has("size") && !"xgLK".includes(type) ? Number(pax.get("size")) : number(header.subarray(124, 136));
    if (!Number.isSafeInteger(size) || size < 0) throw new Error("a tar header is damaged");
    const hasBody = !"123456".includes(type);
    const padded = hasBody ? Math.ceil(size / block) * block : 0;
    if ("xgLK".includes(type)) {
      if (size > maxExtendedBytes) throw new Error("an extended tar header is larger than 1 MiB");
      const bytes = (await reader.read(padded)).subarray(0, size);
      if (type === "x") local = parsePax(bytes, encoding);
      else if (type === "g") global = new Map([...global, ...parsePax(bytes, encoding)]);
      else if (type === "L") longName = text(bytes, encoding);
      else longLink = text(bytes, encoding);
      continue;
    }
    const prefix = header.toString("latin1", 257, 263) === "ustar\0" ? text(header.subarray(345, 500), encoding) : "";
    const short = text(header.subarray(0, 100), encoding);
    let left = padded;
    const body = async function* (): AsyncGenerator<Buffer, void, undefined> {
      for await (const piece of reader.take(left)) {
        const position = padded - left;
        left -= piece.length;
        if (hasBody && position < size) yield piece.subarray(0, size - position);
      }
    };
    yield {
      name: pax.get("path") ?? longName ?? (prefix === "" ? short : `${prefix}/${short}`),
      type,
      mode: number(header.subarray(100, 108)) & 0o7777,
      uid: Number(pax.get("uid") ?? number(header.subarray(108, 116))),
      gid: Number(pax.get("gid") ?? number(header.subarray(116, 124))),
      size: hasBody ? size : 0,
      mtime: pax.get("mtime") ?? String(number(header.subarray(136, 148))),
      linkName: pax.get("linkpath") ?? longLink ?? text(header.subarray(157, 257), encoding),
      major: number(header.subarray(329, 337)),
      minor: number(header.subarray(337, 345)),
      xattrs: new Map(
        [...pax].filter(([key]) => key.startsWith("SCHILY.xattr.")).map(([key, value]) => [key.slice(13), value]),
      ),
      body,
    };
    for await (const piece of reader.take(left)) void piece;
    [local, longName, longLink] = [new Map<string, string>(), undefined, undefined];
  }
}
