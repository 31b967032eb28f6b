// The frames between a shim and the name server's worker, docs/dns.md:
//   [ length, u32 BE: what follows ][ kind, u8 ][ tag, 8 bytes ][ payload ]
// The tag is the shim's: the worker sends it back and does not look into it.

/** A shim's first frame; its payload is the container's id. */
export const kindHello = 1;
/** A datagram of a client, or the reply to it. */
export const kindDatagram = 2;
/** A message that came, or goes, over a client's TCP connection. */
export const kindStream = 3;

const tagBytes = 8;
const headBytes = 1 + tagBytes;
const prefixBytes = 4 + headBytes;
/** Length of the largest DNS message. */
export const messageMaxBytes = 65_535;

export interface Frame {
  readonly kind: number;
  readonly tag: Buffer;
  readonly payload: Buffer;
}

/** @param tag 8 bytes, as they came */
export function renderFrame(kind: number, tag: Buffer, payload: Buffer): Buffer {
  const frame = Buffer.allocUnsafe(prefixBytes + payload.length);
  frame.writeUInt32BE(headBytes + payload.length, 0);
  frame[4] = kind;
  tag.copy(frame, 5);
  payload.copy(frame, prefixBytes);
  return frame;
}

/** Cuts a stream into frames; holds at most one that is incomplete beside what was given last. */
export class FrameReader {
  #bytes: Buffer = Buffer.alloc(0);

  push(chunk: Buffer): void {
    this.#bytes = this.#bytes.length === 0 ? chunk : Buffer.concat([this.#bytes, chunk]);
  }

  /** The next whole frame, or undefined. Its buffers are parts of what was pushed. @throws RangeError no frame can be so long or so short */
  next(): Frame | undefined {
    const bytes = this.#bytes;
    if (bytes.length < 4) return undefined;
    const length = bytes.readUInt32BE(0);
    if (length < headBytes || length > headBytes + messageMaxBytes) throw new RangeError(`a frame of ${length} bytes`);
    if (bytes.length < 4 + length) return undefined;
    this.#bytes = bytes.subarray(4 + length);
    return {
      kind: bytes[4] ?? 0,
      tag: bytes.subarray(5, prefixBytes),
      payload: bytes.subarray(prefixBytes, 4 + length),
    };
  }
}
