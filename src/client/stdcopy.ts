// Separates stdout and stderr of a container's output stream: frames of an 8-byte header and a payload.
//
//   byte 0      stream: 0 stdin, 1 stdout, 2 stderr, 3 an error of the daemon
//   bytes 1–3   zero
//   bytes 4–7   payload length, big endian
// Source: Docker Engine API 1.51, ContainerAttach, "Stream format".

/** Receives demultiplexed bytes; `stream` is 1 (stdout) or 2 (stderr). Neighbouring frames of a stream come together. */
export type FrameSink = (stream: 1 | 2, bytes: Buffer) => void;

/** An incremental demultiplexer; memory is bounded by what one push brings, never by a frame's length. */
export class StdcopyDemuxer {
  readonly #sink: FrameSink;
  readonly #header = Buffer.alloc(8);
  #headerBytes = 0;
  #stream = 0;
  #left = 0;
  #error = "";
  #batch: Buffer[] = [];
  #batchStream: 1 | 2 = 1;

  constructor(sink: FrameSink) {
    this.#sink = sink;
  }

  /** @throws Error a header that is none, or the daemon's own error frame when it is complete */
  push(chunk: Buffer): void {
    try {
      this.#take(chunk);
    } finally {
      this.#flush();
    }
  }

  #take(chunk: Buffer): void {
    let offset = 0;
    while (offset < chunk.length) {
      if (this.#left === 0) {
        const take = Math.min(8 - this.#headerBytes, chunk.length - offset);
        chunk.copy(this.#header, this.#headerBytes, offset, offset + take);
        this.#headerBytes += take;
        offset += take;
        if (this.#headerBytes < 8) return;
        this.#headerBytes = 0;
        this.#stream = this.#header.readUInt8(0);
        this.#left = this.#header.readUInt32BE(4);
        if (this.#stream > 3) throw new Error(`Unrecognized input header: ${this.#stream}`);
        continue;
      }
      const take = Math.min(this.#left, chunk.length - offset);
      this.#deliver(chunk.subarray(offset, offset + take));
      this.#left -= take;
      offset += take;
      if (this.#left === 0 && this.#stream === 3) throw new Error(`error from daemon in stream: ${this.#error}`);
    }
  }

  #deliver(bytes: Buffer): void {
    if (this.#stream === 3) this.#error += bytes.subarray(0, Math.max(0, 4096 - this.#error.length)).toString("utf8");
    else {
      const stream = this.#stream === 2 ? 2 : 1;
      if (stream !== this.#batchStream) this.#flush();
      this.#batchStream = stream;
      this.#batch.push(bytes);
    }
  }

  /** A log of short lines has a frame per line; a write per frame would cost a system call per line. */
  #flush(): void {
    const batch = this.#batch;
    if (batch.length === 0) return;
    this.#batch = [];
    this.#sink(this.#batchStream, batch.length === 1 && batch[0] !== undefined ? batch[0] : Buffer.concat(batch));
  }

  /** True when the stream may end here: between two frames. */
  isComplete(): boolean {
    return this.#left === 0 && this.#headerBytes === 0;
  }
}
