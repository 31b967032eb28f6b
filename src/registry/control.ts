// The socket in the data directory, 0600: who may open it may ask a running server to collect garbage. `POST /gc` answers with
// what was deleted, as JSON.

import { rmSync } from "node:fs";
import { createServer, request } from "node:http";
import { join } from "node:path";
import { EngineError, errnoOf, messageOf } from "../base/errors.ts";
import type { Logger } from "../base/log.ts";
import { parseJson, parseObject } from "../spec/parse-json.ts";
import type { Collected } from "./storage/index.ts";

// A socket's path has at most 107 bytes. Source: unix(7).
const maxPathBytes = 107;

export function controlPath(directory: string): string {
  return join(directory, "control.sock");
}

/** Serves the socket; the data directory must be held. Returns what closes it. */
export async function serveControl(
  directory: string,
  collect: () => Promise<Collected>,
  logger: Logger,
): Promise<() => Promise<void>> {
  const path = controlPath(directory);
  if (Buffer.byteLength(path) > maxPathBytes) {
    logger.warn("the data directory's path is too long for a socket: gantry registry gc will not reach this server", {
      path,
    });
    return async () => undefined;
  }
  const server = createServer((incoming, response) => {
    incoming.resume();
    if (incoming.method !== "POST" || incoming.url !== "/gc") {
      response.writeHead(404).end();
      return;
    }
    collect().then(
      (collected) => response.end(JSON.stringify(collected)),
      (error: unknown) => response.writeHead(500).end(messageOf(error)),
    );
  });
  server.requestTimeout = 0;
  rmSync(path, { force: true });
  const { promise, reject, resolve } = Promise.withResolvers<void>();
  const before = process.umask(0o177);
  server.once("error", reject);
  server.listen(path, resolve);
  process.umask(before);
  await promise;
  return async () => {
    const closed = Promise.withResolvers<void>();
    server.close(() => closed.resolve());
    server.closeAllConnections();
    await closed.promise;
  };
}

/**
 * Asks the server of a data directory for a collection.
 *
 * @returns undefined when none is running
 * @throws System it failed there
 */
export async function requestCollection(directory: string): Promise<Collected | undefined> {
  const { promise, reject, resolve } = Promise.withResolvers<Collected | undefined>();
  const call = request({ socketPath: controlPath(directory), path: "/gc", method: "POST" }, (response) => {
    const chunks: Buffer[] = [];
    response.on("data", (chunk: Buffer) => chunks.push(chunk));
    response.once("error", reject);
    response.once("end", () => {
      const body = Buffer.concat(chunks);
      if (response.statusCode !== 200) reject(new EngineError("System", body.toString("utf8")));
      else resolve(parseObject(parseJson(body, "answer"), "answer") as unknown as Collected);
    });
  });
  call.once("error", (error) => {
    if (errnoOf(error) === "ENOENT" || errnoOf(error) === "ECONNREFUSED") resolve(undefined);
    else reject(error);
  });
  call.end();
  return promise;
}
