// Answers that are archives.

import { once } from "node:events";
import type { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { messageOf } from "../../base/errors.ts";
import type { Exchange, ReplyHeaders } from "./exchange.ts";

/**
 * The head goes out with the first byte, so that what fails before it is an ordinary error reply. What fails later cuts the
 * connection: the client sees that the archive is not whole.
 */
export async function sendArchive(exchange: Exchange, headers: ReplyHeaders, archive: Readable): Promise<void> {
  // Errors are met where it is read; one that comes when nobody reads any more (the client is gone) is nobody's.
  archive.on("error", () => undefined);
  try {
    await firstBytes(archive, exchange.signal);
  } catch (error) {
    archive.destroy();
    throw error;
  }
  const response = exchange.reply.stream(200, headers);
  try {
    await pipeline(archive, response, { signal: exchange.signal });
  } catch (error) {
    archive.destroy();
    response.destroy();
    if (!exchange.signal.aborted)
      exchange.log.warn("an archive was cut off", { path: exchange.request.url ?? "", error: messageOf(error) });
  }
}

/** Resolves when there is something to read, or nothing will come. @throws what the archive fails with */
async function firstBytes(archive: Readable, signal: AbortSignal): Promise<void> {
  if (archive.errored !== null) throw archive.errored;
  if (archive.readableLength > 0 || archive.readableEnded || archive.closed) return;
  const close = new AbortController();
  try {
    const either = { signal: AbortSignal.any([signal, close.signal]) };
    await Promise.race([once(archive, "readable", either), once(archive, "close", either)]);
  } finally {
    close.abort();
  }
}
