// Bodies of answers, with bounds: on size, on silence and on slowness. Only time that is spent waiting for the network counts:
// a reader may take as long as it likes.

import { errnoOf } from "../base/errors.ts";
import { refused, RegistryError } from "./errors.ts";
import { inRequest, networkError } from "./network-errors.ts";
import { type Answer, cancelled, headerOf } from "./transport.ts";

/** Slower than this, averaged over a whole stall time-out of waiting, is no connection but a way to hold one. */
const minBytesPerSecond = 1024;
const maxErrorBytes = 64 << 10;

/**
 * The body's bytes. Leaving the loop early closes the connection.
 *
 * @param maxBytes more than that is refused
 * @throws Unavailable      broken off, silent for `stallMs`, or slower than 1 KiB/s over that time
 * @throws InvalidParameter too long, or encoded
 */
export async function* readChunks(answer: Answer, maxBytes: number, stallMs: number): AsyncGenerator<Uint8Array, void> {
  const { message, call } = answer;
  const encoding = headerOf(answer, "content-encoding").trim().toLowerCase();
  if (encoding !== "" && encoding !== "identity") {
    message.destroy();
    throw refused(
      inRequest(
        call.method,
        call.url,
        `the body is encoded (${JSON.stringify(encoding.slice(0, 40))}), which was not asked for`,
      ),
    );
  }
  const stalled = (why: string): RegistryError =>
    new RegistryError("Unavailable", inRequest(call.method, call.url, why), { transient: true });
  const iterator = message[Symbol.asyncIterator]();
  let total = 0;
  let windowBytes = 0;
  let windowMs = 0;
  let waitingSince: number | undefined;
  const watch = setInterval(
    () => {
      if (waitingSince === undefined) return;
      const waitedMs = performance.now() - waitingSince;
      if (waitedMs >= stallMs) message.destroy(stalled(`nothing came for ${stallMs / 1000} s`));
    },
    Math.max(10, Math.min(1000, stallMs / 4)),
  );
  watch.unref();
  try {
    for (;;) {
      waitingSince = performance.now();
      const next = await iterator.next();
      windowMs += performance.now() - waitingSince;
      waitingSince = undefined;
      if (next.done === true) break;
      const chunk: Uint8Array = next.value;
      total += chunk.length;
      windowBytes += chunk.length;
      if (total > maxBytes)
        throw refused(inRequest(call.method, call.url, `the body is longer than ${maxBytes} bytes`));
      if (windowMs >= stallMs) {
        if (windowBytes < (windowMs / 1000) * minBytesPerSecond)
          throw stalled(`slower than ${minBytesPerSecond} bytes a second`);
        windowBytes = 0;
        windowMs = 0;
      }
      yield chunk;
    }
    if (!message.complete) throw stalled("unexpected EOF");
  } catch (error) {
    if (call.signal.aborted) throw cancelled(call.signal);
    if (errnoOf(error) === "ECONNRESET") throw stalled("unexpected EOF");
    throw networkError(call.method, call.url, error);
  } finally {
    clearInterval(watch);
    if (!message.readableEnded) message.destroy();
  }
}

/** The whole body. @throws as readChunks */
export async function readWhole(answer: Answer, maxBytes: number, stallMs: number): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of readChunks(answer, maxBytes, stallMs)) chunks.push(chunk);
  return Buffer.concat(chunks);
}

/** As much of an error's body as is worth reading; never throws but for the signal. */
export async function readErrorBody(answer: Answer, stallMs: number): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  let total = 0;
  try {
    for await (const chunk of readChunks(answer, Number.MAX_SAFE_INTEGER, Math.min(stallMs, 5000))) {
      chunks.push(chunk);
      total += chunk.length;
      if (total >= maxErrorBytes) break;
    }
  } catch {
    if (answer.call.signal.aborted) throw cancelled(answer.call.signal);
  }
  return Buffer.concat(chunks).subarray(0, maxErrorBytes);
}

/** Lets the connection be used again where the rest of the body is short, and closes it otherwise. */
export function discard(answer: Answer): void {
  const { message } = answer;
  const length = Number(headerOf(answer, "content-length") || "0");
  const isShort = answer.call.method === "HEAD" || (length <= 64 << 10 && !headerOf(answer, "transfer-encoding"));
  message.on("error", () => {});
  if (!isShort) {
    message.destroy();
    return;
  }
  const timer = setTimeout(() => message.destroy(), 1000);
  timer.unref();
  message.once("close", () => clearTimeout(timer));
  message.resume();
}
