// Bodies that are no JSON: archives, root file systems, contexts of builds.

import { Readable } from "node:stream";
import { EngineError } from "../../base/errors.ts";
import type { Exchange } from "./exchange.ts";

/** An upload that brings nothing for so long is given up. */
const uploadIdleMs = 300_000;
const uploadBufferBytes = 256 * 1024;

/**
 * The body as a stream, given up when it stalls. Not the request itself: whoever reads it may destroy it, and the answer
 * still has to go out on the request's connection.
 */
export function upload(exchange: Exchange): Readable {
  const { request } = exchange;
  const body = new Readable({ highWaterMark: uploadBufferBytes, read: () => request.resume() });
  // Whoever reads it meets its errors; it may also be that nobody does, because the arguments were refused.
  body.on("error", () => undefined);
  const take = (chunk: Buffer): void => {
    if (!body.push(chunk)) request.pause();
  };
  request.on("data", take).once("end", () => body.push(null));
  body.once("close", () => request.off("data", take).pause());
  request.on("error", (error) => body.destroy(error));
  request.on("close", () => {
    if (!request.complete) body.destroy(new EngineError("Cancelled", "the client hung up in the middle of an upload"));
  });
  request.setTimeout(uploadIdleMs);
  request.on("timeout", () => {
    // A reader that is busy with what it has is no stalled client.
    if (request.isPaused()) request.setTimeout(uploadIdleMs);
    else body.destroy(new EngineError("Deadline", "the upload stalled"));
  });
  return body;
}
