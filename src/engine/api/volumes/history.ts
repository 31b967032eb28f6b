// Gantry's own of /volumes: what a volume was at other moments, and volumes as tars.
//   GET, POST   /volumes/{name}/snapshots                       {"Name", "Comment"}, both optional
//   DELETE      /volumes/{name}/snapshots/{snapshot}
//   POST        /volumes/{name}/restore?snapshot=S&discard=1     {"Replaced": snapshot or null}
//   GET         /volumes/{name}/export?snapshot=S                a plain tar
//   POST        /volumes/import?name=N&labels={…}                a tar, plain or compressed

import { EngineError } from "../../../base/errors.ts";
import { readObject } from "../body.ts";
import { type Exchange, param, sendEmpty, sendJson } from "../exchange.ts";
import { parseJson } from "../json.ts";
import type { Engine } from "../ports.ts";
import { type Route, route } from "../router.ts";
import { decodeObject, map, object, string } from "../schema.ts";
import { sendArchive } from "../send-archive.ts";
import { upload } from "../upload.ts";

const str = string();
const snapshotSchema = object("SnapshotRequest", { Name: str, Comment: str });
const labelsSchema = object("ImportRequest", { labels: map(str) });

export function volumeHistoryRoutes({ volumes: { history } }: Engine): readonly Route[] {
  return [
    route("GET", "/volumes/{name}/snapshots", async (exchange) => {
      sendJson(exchange, 200, await history.snapshots(param(exchange, "name")));
    }),
    route("POST", "/volumes/{name}/snapshots", async (exchange) => {
      const body = await readObject(exchange, snapshotSchema, "SnapshotRequest", "allowed");
      const { Name = "", Comment = "" } = body as { readonly Name?: string; readonly Comment?: string };
      const request = { name: Name, comment: Comment };
      sendJson(exchange, 201, await history.snapshot(param(exchange, "name"), request, exchange.signal));
    }),
    route("DELETE", "/volumes/{name}/snapshots/{snapshot}", async (exchange) => {
      await history.removeSnapshot(param(exchange, "name"), param(exchange, "snapshot"));
      sendEmpty(exchange, 204);
    }),
    route("POST", "/volumes/{name}/restore", async (exchange) => {
      const request = { snapshot: required(exchange, "snapshot"), discard: exchange.query.bool("discard") };
      const { replaced } = await history.restore(param(exchange, "name"), request, exchange.signal);
      sendJson(exchange, 200, { Replaced: replaced ?? null });
    }),
    route("GET", "/volumes/{name}/export", async (exchange) => {
      const snapshot = exchange.query.has("snapshot") ? required(exchange, "snapshot") : undefined;
      const tar = await history.export(param(exchange, "name"), snapshot, exchange.signal);
      await sendArchive(exchange, { "Content-Type": "application/x-tar" }, tar);
    }),
    route("POST", "/volumes/import", async (exchange) => {
      const request = { name: required(exchange, "name"), labels: parseLabels(exchange.query.text("labels")) };
      sendJson(exchange, 201, await history.import(request, upload(exchange), exchange.signal));
    }),
  ];
}

/** @throws InvalidParameter */
function required(exchange: Exchange, name: string): string {
  const value = exchange.query.text(name);
  if (value === "") throw new EngineError("InvalidParameter", `the parameter ${name} is missing`);
  return value;
}

/** A JSON object of texts; none where nothing is given. @throws InvalidParameter */
function parseLabels(text: string): Readonly<Record<string, string>> {
  if (text === "") return {};
  const value = parseJson(text, "invalid labels: ");
  const { labels } = decodeObject(labelsSchema, new Map([["labels", value]]), "ImportRequest");
  return { ...(labels as Readonly<Record<string, string>> | undefined) };
}
