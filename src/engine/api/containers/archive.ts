// /containers/{id}/archive and /containers/{id}/changes: files in and out, and what was changed.

import { EngineError, isEngineError } from "../../../base/errors.ts";
import type { ContainerId } from "../../../base/ids.ts";
import { type Exchange, param, sendEmpty, sendJson } from "../exchange.ts";
import type { ContainersPort } from "../ports.ts";
import { type Route, route } from "../router.ts";
import { sendArchive } from "../send-archive.ts";
import { upload } from "../upload.ts";
import { renderPathStat } from "./path-stat.ts";

const changeKinds = { modified: 0, added: 1, deleted: 2 } as const;
/** Of a body that is not wanted any more. */
const maxRestBytes = 256 << 10;
const maxRestMs = 200;
const statHeader = "X-Docker-Container-Path-Stat";

export function containerArchiveRoutes(
  containers: ContainersPort,
  of: (exchange: Exchange) => ContainerId,
): readonly Route[] {
  return [
    route("HEAD", "/containers/{id}/archive", async (exchange) => {
      const path = parsePath(exchange);
      const id = of(exchange);
      const stat = await found(exchange, path, of, () => containers.statPath(id, path, exchange.signal));
      exchange.reply.send(200, { [statHeader]: renderPathStat(stat) }, "");
    }),
    route("GET", "/containers/{id}/archive", async (exchange) => {
      const path = parsePath(exchange);
      const id = of(exchange);
      const { stat, tar } = await found(exchange, path, of, () => containers.packPath(id, path, exchange.signal));
      const headers = { "Content-Type": "application/x-tar", [statHeader]: renderPathStat(stat) };
      await sendArchive(exchange, headers, tar);
    }),
    route("PUT", "/containers/{id}/archive", async (exchange) => {
      try {
        await extract(containers, of, exchange);
      } catch (error) {
        await takeRest(exchange);
        throw error;
      }
      sendEmpty(exchange, 200);
    }),
    route("GET", "/containers/{id}/changes", async (exchange) => {
      const changes = await containers.changes(of(exchange), exchange.signal);
      const rendered = changes.map(({ path, kind }) => ({ Path: path, Kind: changeKinds[kind] }));
      sendJson(exchange, 200, rendered.length === 0 ? null : rendered);
    }),
  ];
}

async function extract(
  containers: ContainersPort,
  of: (exchange: Exchange) => ContainerId,
  exchange: Exchange,
): Promise<void> {
  const path = parsePath(exchange);
  const id = of(exchange);
  const { query, signal } = exchange;
  const request = {
    path,
    noOverwriteDirNonDir: query.bool("noOverwriteDirNonDir"),
    copyUidGid: query.bool("copyUIDGID"),
  };
  const archive = upload(exchange);
  await found(exchange, path, of, () => containers.extractInto(id, request, archive, signal));
}

/** A client that is nearly done with its upload is not cut off in the middle of it: it reads the answer only afterwards. */
async function takeRest({ request, signal }: Exchange): Promise<void> {
  let bytes = 0;
  const done = Promise.withResolvers<void>();
  const count = (chunk: Buffer): void => {
    bytes += chunk.length;
    if (bytes > maxRestBytes) done.resolve();
  };
  const timer = setTimeout(done.resolve, maxRestMs);
  request.on("data", count).once("end", done.resolve).once("close", done.resolve);
  if (request.complete || signal.aborted) done.resolve();
  request.resume();
  await done.promise;
  clearTimeout(timer);
  request.off("data", count);
}

/** @throws InvalidParameter with dockerd's text, in which a space is missing */
function parsePath(exchange: Exchange): string {
  const path = exchange.query.text("path");
  if (path === "") throw new EngineError("InvalidParameter", "bad parameter: pathcannot be empty");
  return path;
}

/** While the container is there it is the file that is not found; its text has the container's name as the client wrote it. */
async function found<T>(
  exchange: Exchange,
  path: string,
  of: (exchange: Exchange) => ContainerId,
  action: () => Promise<T>,
): Promise<T> {
  try {
    return await action();
  } catch (error) {
    if (!isEngineError(error, "NotFound")) throw error;
    of(exchange);
    const message = `Could not find the file ${path} in container ${param(exchange, "id")}`;
    throw new EngineError("NotFound", message, { cause: error });
  }
}
