// Bodies of requests: as they come, at a pace that no slow client can hold a connection with, and what to do with the rest of
// one that was refused.

import type { IncomingMessage, ServerResponse } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import { ClientGone, RegistryError } from "../errors.ts";

const paceWindowMs = 60_000;
const paceBytes = 16 << 10;
const lingerBytes = 8 << 20;
const lingerMs = 5000;

/** True while the client waits for "100 Continue" before it sends its body. */
function expectsContinue(request: IncomingMessage): boolean {
  return request.headers.expect?.toLowerCase() === "100-continue";
}

/** The body's length, where the client says it. */
export function contentLength(request: IncomingMessage): number | undefined {
  const text = request.headers["content-length"];
  return text === undefined || !/^\d{1,15}$/.test(text) ? undefined : Number(text);
}

/** Frees a chunk's memory. Else as much as comes in would be garbage, which is collected late: a hundred MiB and more. */
function release(chunk: Buffer): void {
  const { buffer, byteLength } = chunk;
  if (buffer instanceof ArrayBuffer && buffer.byteLength === byteLength) buffer.transfer(0);
}

/**
 * The chunks of a body. Each is gone when the next is asked for.
 *
 * @param onBytes told of every chunk
 * @throws ClientGone the connection broke, or brought less than 16 KiB in a minute
 */
export async function* receive(
  request: IncomingMessage,
  response: ServerResponse,
  onBytes: (bytes: number) => void,
): AsyncGenerator<Uint8Array> {
  if (expectsContinue(request)) response.writeContinue();
  let inWindow = 0;
  const pace = setInterval(() => {
    if (inWindow < paceBytes) request.destroy(new Error("the body came too slowly"));
    inWindow = 0;
  }, paceWindowMs);
  try {
    for await (const chunk of request.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
      inWindow += chunk.length;
      onBytes(chunk.length);
      yield chunk;
      release(chunk);
    }
  } catch (error) {
    throw new ClientGone(error);
  } finally {
    clearInterval(pace);
  }
}

/** A whole small body. @throws SIZE_INVALID with 413: larger */
export async function receiveAll(chunks: AsyncIterable<Uint8Array>, limitBytes: number): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  let total = 0;
  for await (const chunk of chunks) {
    total += chunk.length;
    if (total > limitBytes)
      throw new RegistryError("SIZE_INVALID", `more than ${limitBytes} bytes are not taken here`, { status: 413 });
    parts.push(Uint8Array.from(chunk));
  }
  return Buffer.concat(parts);
}

/** True when the client may still be sending. */
export function isBodyOpen(request: IncomingMessage): boolean {
  const { headers } = request;
  return (
    !request.complete &&
    !request.destroyed &&
    !expectsContinue(request) &&
    (headers["transfer-encoding"] !== undefined || (contentLength(request) ?? 0) > 0)
  );
}

/**
 * Reads on for a moment: a client that is still sending would otherwise get a reset in place of the answer.
 */
export async function linger(request: IncomingMessage): Promise<void> {
  const done = new AbortController();
  let bytes = 0;
  const end = (): void => done.abort();
  request.on("data", (chunk: Buffer) => {
    bytes += chunk.length;
    if (bytes > lingerBytes) end();
  });
  request.once("end", end).once("close", end).once("error", end);
  request.resume();
  await sleep(lingerMs, undefined, { signal: done.signal }).catch(() => undefined);
}
