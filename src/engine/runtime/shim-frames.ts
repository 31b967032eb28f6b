// Frames of the shim's protocol: u32 big-endian length, then NUL-terminated key=value strings. Pure.
// Source: docs/shim-protocol.md.

import { Buffer } from "node:buffer";
import { EngineError } from "../../base/errors.ts";

/** One key=value pair; keys may repeat. `undefined` values are left out when a frame is rendered. */
export type Field = readonly [key: string, value: string | number | undefined];

/** Longest frame that a shim or the spawner sends. */
const frameMaxBytes = 512 * 1024;
const headerBytes = 4;

/** A received frame. */
export interface Frame {
  /** The first value of `key`. */
  get(key: string): string | undefined;
  /** All values of `key`, in order. */
  all(key: string): readonly string[];
}

/** @throws InvalidParameter a value contains NUL */
export function renderFrame(fields: readonly Field[]): Buffer {
  let text = "";
  for (const [key, value] of fields) {
    if (value === undefined) continue;
    const string = String(value);
    if (string.includes("\0")) throw new EngineError("InvalidParameter", `NUL in the value of ${key}`);
    text += `${key}=${string}\0`;
  }
  const frame = Buffer.allocUnsafe(headerBytes + Buffer.byteLength(text));
  frame.writeUInt32BE(frame.length - headerBytes, 0);
  frame.write(text, headerBytes);
  return frame;
}

/** @throws DataLoss the body is not NUL-terminated key=value strings */
export function parseFrame(body: Buffer): Frame {
  if (body.length === 0 || body.at(-1) !== 0) throw new EngineError("DataLoss", "malformed frame from a shim");
  const pairs = body
    .toString("utf8", 0, body.length - 1)
    .split("\0")
    .map((entry): readonly [string, string] => {
      const at = entry.indexOf("=");
      if (at < 1) throw new EngineError("DataLoss", "malformed field from a shim");
      return [entry.slice(0, at), entry.slice(at + 1)];
    });
  return {
    get: (key) => pairs.find(([name]) => name === key)?.[1],
    all: (key) => pairs.filter(([name]) => name === key).map(([, value]) => value),
  };
}

/** Length of the body that a header announces. @throws DataLoss it is absurd */
export function parseFrameHeader(header: Buffer): number {
  const size = header.readUInt32BE(0);
  if (size === 0 || size > frameMaxBytes) throw new EngineError("DataLoss", `frame of ${size} bytes from a shim`);
  return size;
}

/** Cuts a stream of bytes into frames; keeps at most one incomplete frame. */
export class FrameReader {
  #rest: Buffer = Buffer.alloc(0);

  /** @throws DataLoss malformed input */
  push(bytes: Buffer): Frame[] {
    let buffer = this.#rest.length === 0 ? bytes : Buffer.concat([this.#rest, bytes]);
    const frames: Frame[] = [];
    while (buffer.length >= headerBytes) {
      const size = parseFrameHeader(buffer);
      if (buffer.length < headerBytes + size) break;
      frames.push(parseFrame(buffer.subarray(headerBytes, headerBytes + size)));
      buffer = buffer.subarray(headerBytes + size);
    }
    this.#rest = buffer.length === 0 ? Buffer.alloc(0) : Buffer.from(buffer);
    return frames;
  }
}
