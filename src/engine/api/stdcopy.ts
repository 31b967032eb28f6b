// Docker's framing of several streams in one: [stream, 0, 0, 0, length (32 bits, big endian)] and the payload.
// Streams: 0 stdin, 1 stdout, 2 stderr, 3 an error of the engine. Source: Engine API 1.51, ContainerAttach, "Stream format".

import { Transform, type TransformCallback } from "node:stream";

export type StreamNumber = 1 | 2 | 3;

export function renderFrame(stream: StreamNumber, payload: Buffer | string): Buffer {
  const bytes = Buffer.from(payload);
  const frame = Buffer.allocUnsafe(8 + bytes.length);
  frame.writeUInt32BE(stream * 0x1000000, 0);
  frame.writeUInt32BE(bytes.length, 4);
  bytes.copy(frame, 8);
  return frame;
}

/** Takes the headers off: the payloads of all streams in the order in which they came. */
export class FrameStripper extends Transform {
  readonly #header = Buffer.alloc(8);
  #headerBytes = 0;
  #payloadLeft = 0;

  override _transform(chunk: Buffer, _encoding: BufferEncoding, done: TransformCallback): void {
    let at = 0;
    while (at < chunk.length) {
      if (this.#payloadLeft > 0) {
        const end = Math.min(chunk.length, at + this.#payloadLeft);
        this.#payloadLeft -= end - at;
        this.push(chunk.subarray(at, end));
        at = end;
        continue;
      }
      const end = Math.min(chunk.length, at + 8 - this.#headerBytes);
      chunk.copy(this.#header, this.#headerBytes, at, end);
      this.#headerBytes += end - at;
      at = end;
      if (this.#headerBytes < 8) break;
      this.#headerBytes = 0;
      this.#payloadLeft = this.#header.readUInt32BE(4);
    }
    done();
  }
}
