// Turns json-file lines into stdcopy frames, many at a time: the hot path of `logs`. A line that the shim wrote,
// {"log":"…","stream":"stdout","time":"<up to 30 bytes>"}\n, is taken apart byte by byte without a string or a parser;
// any other layout goes through JSON.parse; what is no JSON (a line cut by a crash, a run of NULs) is skipped.

import { parseRfc3339, renderRfc3339Nano } from "../../base/time.ts";

export interface DecodeOptions {
  readonly stdout: boolean;
  readonly stderr: boolean;
  readonly sinceNs: bigint | undefined;
  readonly untilNs: bigint | undefined;
  readonly timestamps: boolean;
  /** Written before each line with a blank after it; undefined writes neither. */
  readonly attributes: string | undefined;
  /** No frames: raw bytes, as a tty's output is. */
  readonly raw: boolean;
  /** Lines of one stream that follow each other share a frame: clients read them back several times faster. */
  readonly merge: boolean;
}

const newline = 0x0a;
const quote = 0x22;
const backslash = 0x5c;

/** No line is added to a merged frame that is as long; lines are up to 16 KiB. */
const fullFrameBytes = 32 << 10;
/** Bytes of a time with nine digits: "2026-11-27T21:33:19.424371604Z". Zeros at the end are not written: one in ten is shorter. */
const timeLength = 30;
/** Of its part before the fraction. */
const secondsLength = 19;
/** From the quote that ends the text to the time, in the shim's own layout. */
const timeAt = 28;
/** Bytes of a line that are not its text: less than this is never written by anybody. */
const leastOverhead = 56;

/** 1 where a byte cannot be copied: it ends the text, begins an escape, or cannot be in JSON. */
const special = new Uint8Array(256);
special.fill(1, 0, 0x20);
special[quote] = 1;
special[backslash] = 1;

/** What a byte after a backslash stands for; 0 where it stands for nothing simple. */
const escapes = new Uint8Array(256);
for (const [letter, byte] of [
  ['"', 0x22],
  ["\\", 0x5c],
  ["/", 0x2f],
  ["b", 8],
  ["f", 12],
  ["n", 10],
  ["r", 13],
  ["t", 9],
] as const) {
  escapes[letter.charCodeAt(0)] = byte;
}

/** Decodes whole lines; keeps nothing between calls but whether `until` was passed. */
export class LineDecoder {
  readonly #options: DecodeOptions;
  readonly #since: Uint8Array | undefined;
  readonly #until: Uint8Array | undefined;
  readonly #attributes: Buffer | undefined;
  #done = false;

  constructor(options: DecodeOptions) {
    this.#options = options;
    this.#since = options.sinceNs === undefined ? undefined : Buffer.from(renderRfc3339Nano(options.sinceNs));
    this.#until = options.untilNs === undefined ? undefined : Buffer.from(renderRfc3339Nano(options.untilNs));
    this.#attributes = options.attributes === undefined ? undefined : Buffer.from(`${options.attributes} `);
  }

  /** True once a line later than `untilNs` was met: there is nothing more to deliver. */
  get done(): boolean {
    return this.#done;
  }

  /** @param src whole lines: the last byte is a newline, or the input is empty */
  decode(src: Buffer): Buffer {
    const { timestamps, raw, stdout, stderr, merge } = this.#options;
    const since = this.#since;
    const until = this.#until;
    const attributes = this.#attributes;
    const perLine = 8 + timeLength + 1 + (attributes?.length ?? 0);
    const growth = Math.max(0, perLine - leastOverhead) * Math.ceil(src.length / leastOverhead);
    const dst = Buffer.allocUnsafe(src.length + growth);
    const end = src.length;
    let o = 0;
    let i = 0;
    /** Where the frame begins that the next line may be added to, or -1. */
    let open = -1;
    while (i < end) {
      if (src[i] === 0) {
        i++;
        continue;
      }
      const frame = o;
      // The stream is known at the end of the line: that it is the same is assumed until then.
      const joins = merge && open >= 0 && o - open < fullFrameBytes;
      if (!raw && !joins) o += 8;
      if (timestamps) o += timeLength + 1;
      if (attributes !== undefined) {
        attributes.copy(dst, o);
        o += attributes.length;
      }
      // {"log":"
      let p = i + 8;
      let ordinary = src[i] === 0x7b && src[i + 2] === 0x6c && src[i + 6] === 0x3a && src[i + 7] === quote;
      while (ordinary) {
        let c = src[p] ?? 0;
        while (special[c] === 0) {
          dst[o++] = c;
          c = src[++p] ?? 0;
        }
        if (c !== backslash) {
          ordinary = c === quote;
          break;
        }
        const letter = src[p + 1] ?? 0;
        const byte = escapes[letter] ?? 0;
        if (byte !== 0) {
          dst[o++] = byte;
          p += 2;
        } else if (letter === 0x75) {
          const unit = hex4(src, p + 2);
          const low = unit >= 0xd800 && unit < 0xdc00 && src[p + 6] === backslash ? hex4(src, p + 8) : -1;
          const pair = low >= 0xdc00 && low < 0xe000;
          ordinary = unit >= 0;
          o = putCodePoint(dst, o, pair ? (unit - 0xd800) * 0x400 + (low - 0xdc00) + 0x10000 : unit);
          p += pair ? 12 : 6;
        } else {
          ordinary = false;
        }
      }
      const time = p + timeAt;
      const zulu = ordinary ? endOfTime(src, time) : 0;
      if (
        ordinary &&
        src[zulu + 3] === newline &&
        src[p + 2] === quote &&
        src[p + 3] === 0x73 &&
        src[p + 11] === quote &&
        src[p + 18] === quote &&
        src[p + 21] === 0x74 &&
        src[p + 27] === quote &&
        src[zulu] === 0x5a &&
        src[zulu + 1] === quote
      ) {
        i = zulu + 4;
        const isStdout = src[p + 15] === 0x6f;
        if (until !== undefined && compareTime(src, time, zulu, until) > 0) {
          this.#done = true;
          return dst.subarray(0, frame);
        }
        if (isStdout ? !stdout : !stderr) o = frame;
        else if (since !== undefined && compareTime(src, time, zulu, since) < 0) o = frame;
        else {
          if (timestamps) putTime(dst, raw || joins ? frame : frame + 8, src, time, zulu);
          if (!raw && joins && dst[open] === (isStdout ? 1 : 2)) putHeader(dst, open, isStdout, o - open - 8);
          else if (!raw) {
            if (joins) {
              dst.copyWithin(frame + 8, frame, o);
              o += 8;
            }
            putHeader(dst, frame, isStdout, o - frame - 8);
            open = frame;
          }
        }
        continue;
      }
      // Not our own layout, or broken: the whole line, by the parser.
      let lineEnd = src.indexOf(newline, i);
      if (lineEnd < 0) lineEnd = end;
      o = this.#decodeSlowly(src.subarray(i, lineEnd), dst, frame);
      open = -1;
      if (this.#done) return dst.subarray(0, o);
      i = lineEnd + 1;
    }
    return dst.subarray(0, o);
  }

  #decodeSlowly(line: Buffer, dst: Buffer, frame: number): number {
    const { timestamps, raw, stdout, stderr, sinceNs, untilNs } = this.#options;
    const entry = parseEntry(line);
    if (entry === undefined || !(entry.stream === "stdout" ? stdout : stderr)) return frame;
    if (untilNs !== undefined && entry.timeNs > untilNs) {
      this.#done = true;
      return frame;
    }
    if (sinceNs !== undefined && entry.timeNs < sinceNs) return frame;
    let o = raw ? frame : frame + 8;
    if (timestamps) o += dst.write(`${renderRfc3339Nano(entry.timeNs)} `, o, "latin1");
    if (this.#attributes !== undefined) o += this.#attributes.copy(dst, o);
    o += dst.write(entry.text, o, "utf8");
    if (!raw) putHeader(dst, frame, entry.stream === "stdout", o - frame - 8);
    return o;
  }
}

/** @returns undefined for what is no log line */
function parseEntry(
  line: Buffer,
): { readonly text: string; readonly stream: string; readonly timeNs: bigint } | undefined {
  let value: unknown;
  try {
    value = JSON.parse(line.toString("utf8"));
  } catch {
    return undefined;
  }
  if (typeof value !== "object" || value === null) return undefined;
  const { log, stream, time } = value as { log?: unknown; stream?: unknown; time?: unknown };
  if (typeof log !== "string" || typeof time !== "string" || (stream !== "stdout" && stream !== "stderr")) {
    return undefined;
  }
  const timeNs = parseRfc3339(time);
  return timeNs === undefined ? undefined : { text: log, stream, timeNs };
}

function putHeader(dst: Buffer, at: number, isStdout: boolean, length: number): void {
  dst[at] = isStdout ? 1 : 2;
  dst[at + 1] = 0;
  dst[at + 2] = 0;
  dst[at + 3] = 0;
  dst[at + 4] = length >>> 24;
  dst[at + 5] = (length >>> 16) & 0xff;
  dst[at + 6] = (length >>> 8) & 0xff;
  dst[at + 7] = length & 0xff;
}

/** Where the Z of the time at `from` should be: behind nine digits, or behind fewer. */
function endOfTime(src: Buffer, from: number): number {
  const longest = from + timeLength - 1;
  if (src[longest] === 0x5a) return longest;
  let at = from + secondsLength;
  if (src[at] === 0x2e) {
    do at++;
    while (at < longest && (src[at] ?? 0) >= 0x30 && (src[at] ?? 0) <= 0x39);
  }
  return at;
}

/** The byte at `k` of a time that ends with the Z at `zulu`, as if it had nine digits. */
function timeByte(src: Buffer, from: number, zulu: number, k: number): number {
  if (from + k < zulu) return src[from + k] ?? 0;
  return k === timeLength - 1 ? 0x5a : k === secondsLength ? 0x2e : 0x30;
}

function putTime(dst: Buffer, at: number, src: Buffer, from: number, zulu: number): void {
  for (let k = 0; k < timeLength; k++) dst[at + k] = timeByte(src, from, zulu, k);
  dst[at + timeLength] = 0x20;
}

/** Times in UTC with as many digits compare as texts. */
function compareTime(src: Buffer, from: number, zulu: number, other: Uint8Array): number {
  for (let k = 0; k < timeLength; k++) {
    const difference = timeByte(src, from, zulu, k) - (other[k] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}

/** The number of four hex digits, or -1. */
function hex4(src: Buffer, at: number): number {
  let value = 0;
  for (let k = at; k < at + 4; k++) {
    const c = src[k] ?? 0;
    const digit =
      c >= 0x30 && c <= 0x39 ? c - 0x30 : c >= 0x61 && c <= 0x66 ? c - 0x57 : c >= 0x41 && c <= 0x46 ? c - 0x37 : -1;
    if (digit < 0) return -1;
    value = value * 16 + digit;
  }
  return value;
}

/** Writes UTF-8 and returns the next offset; half a surrogate pair becomes U+FFFD. */
function putCodePoint(dst: Buffer, at: number, code: number): number {
  if (code < 0) return at;
  if (code < 0x80) {
    dst[at] = code;
    return at + 1;
  }
  if (code < 0x800) {
    dst[at] = 0xc0 | (code >> 6);
    dst[at + 1] = 0x80 | (code & 0x3f);
    return at + 2;
  }
  if (code >= 0xd800 && code < 0xe000) return putCodePoint(dst, at, 0xfffd);
  if (code < 0x10000) {
    dst[at] = 0xe0 | (code >> 12);
    dst[at + 1] = 0x80 | ((code >> 6) & 0x3f);
    dst[at + 2] = 0x80 | (code & 0x3f);
    return at + 3;
  }
  dst[at] = 0xf0 | (code >> 18);
  dst[at + 1] = 0x80 | ((code >> 12) & 0x3f);
  dst[at + 2] = 0x80 | ((code >> 6) & 0x3f);
  dst[at + 3] = 0x80 | (code & 0x3f);
  return at + 4;
}
