// Messages in frames: one byte that says whether it is compressed (never), four bytes of length, the message.
// Source: gRPC over HTTP2, "Length-Prefixed-Message".

import type { Readable, Writable } from "node:stream";
import type { AnyMessage, MessageInit, MessageOf } from "./message.ts";
import { codes, GrpcError } from "./status.ts";

/** BuildKit's bound for messages both ways. */
export const maxMessageBytes = 16 * 1024 * 1024;
const headBytes = 5;

/** A message with its frame's head. @throws GrpcError resourceExhausted it is too large */
export function encodeFrame<M extends AnyMessage>(type: M, value: MessageInit<M>): Uint8Array {
  const frame = type.encode(value, headBytes);
  const length = frame.length - headBytes;
  if (length > maxMessageBytes)
    throw new GrpcError(
      codes.resourceExhausted,
      `trying to send message larger than max (${length} vs. ${maxMessageBytes})`,
    );
  frame[0] = 0;
  new DataView(frame.buffer, frame.byteOffset).setUint32(1, length);
  return frame;
}

/** Writes, and waits while the other end does not take more. @returns false when the stream is over */
export async function writeFrame(stream: Writable, frame: Uint8Array): Promise<boolean> {
  if (!stream.writable) return false;
  if (stream.write(frame)) return true;
  const { promise, resolve } = Promise.withResolvers<void>();
  stream.once("drain", resolve);
  stream.once("close", resolve);
  await promise;
  stream.off("drain", resolve);
  stream.off("close", resolve);
  return stream.writable;
}

/**
 * The messages of a stream until its end. Breaking off leaves the stream alone. A message's bytes are views of what was
 * received.
 *
 * @throws GrpcError a frame that is too large, compressed or cut off; InvalidParameter no such message
 */
export async function* readMessages<M extends AnyMessage>(
  stream: Readable,
  type: M,
): AsyncGenerator<MessageOf<M>, void, undefined> {
  let parts: Buffer[] = [];
  let size = 0;
  let wanted = headBytes;
  const take = (count: number): Buffer => {
    const all = parts.length === 1 && parts[0] !== undefined ? parts[0] : Buffer.concat(parts, size);
    parts = all.length > count ? [all.subarray(count)] : [];
    size -= count;
    return all.subarray(0, count);
  };
  let inBody = false;
  for await (const chunk of stream.iterator({ destroyOnReturn: false })) {
    parts.push(chunk as Buffer);
    size += (chunk as Buffer).length;
    while (size >= wanted) {
      const piece = take(wanted);
      if (inBody) {
        inBody = false;
        wanted = headBytes;
        yield type.decode(piece) as MessageOf<M>;
      } else {
        wanted = lengthOf(piece);
        inBody = true;
      }
    }
  }
  if (size > 0 || inBody) throw new GrpcError(codes.internal, "the stream ended in the middle of a message");
}

function lengthOf(head: Buffer): number {
  if (head[0] !== 0) throw new GrpcError(codes.unimplemented, "compressed messages are not supported");
  const length = head.readUInt32BE(1);
  if (length > maxMessageBytes)
    throw new GrpcError(codes.resourceExhausted, `received message larger than max (${length} vs. ${maxMessageBytes})`);
  return length;
}
