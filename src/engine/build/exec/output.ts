// A step's output as it comes from its shim: frames of an 8-byte header (stream, three zeros, length in big endian) and a
// payload. Source: docs/shim-protocol.md, "Attach connection".

import type { Readable } from "node:stream";

const headerBytes = 8;

/** Takes frames apart, whatever pieces they come in; memory is bounded by what one piece brings. */
export class OutputReader {
  readonly #sink: (stream: 1 | 2, data: Uint8Array) => void;
  readonly #header = Buffer.alloc(headerBytes);
  #have = 0;
  #left = 0;

  constructor(sink: (stream: 1 | 2, data: Uint8Array) => void) {
    this.#sink = sink;
  }

  push(piece: Buffer): void {
    let at = 0;
    while (at < piece.length) {
      if (this.#left === 0) {
        const size = piece.copy(this.#header, this.#have, at, at + headerBytes - this.#have);
        this.#have += size;
        at += size;
        if (this.#have < headerBytes) return;
        this.#have = 0;
        this.#left = this.#header.readUInt32BE(4);
        continue;
      }
      const size = Math.min(this.#left, piece.length - at);
      this.#sink(this.#header[0] === 2 ? 2 : 1, piece.subarray(at, at + size));
      this.#left -= size;
      at += size;
    }
  }
}

/** Hands all of an attachment to `sink`; resolves at its end, however that comes. */
export function readOutput(source: Readable, sink: (stream: 1 | 2, data: Uint8Array) => void): Promise<void> {
  const reader = new OutputReader(sink);
  return new Promise((resolve) => {
    source.on("data", (piece: Buffer) => reader.push(piece));
    source.once("error", () => resolve());
    source.once("close", resolve);
    source.once("end", resolve);
  });
}
