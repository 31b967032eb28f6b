// Typed calls about images. Source: Docker Engine API 1.51.

import type { ImageDeleteResponseItem, ImageInspect, ImageSummary } from "../spec/docker/image.ts";
import type { Client, Query } from "./client.ts";
import { segment } from "./containers.ts";
import { renderFilters, type FilterArgs } from "./filters.ts";
import { parseJson } from "./json.ts";

/** A line of a progress stream (load, import, pull). */
export interface ProgressLine {
  readonly stream?: string;
  readonly status?: string;
  readonly id?: string;
  readonly progress?: string;
  readonly progressDetail?: { readonly current?: number; readonly total?: number };
  readonly error?: string;
  readonly errorDetail?: { readonly message?: string };
  readonly aux?: unknown;
}

export interface HistoryItem {
  readonly Id: string;
  readonly Created: number;
  readonly CreatedBy: string;
  readonly Tags: readonly string[] | null;
  readonly Size: number;
  readonly Comment: string;
}

function pathOf(name: string, action: string): string {
  // Slashes of a repository are part of the path, and so are colons and @; everything else is encoded.
  const shown = (part: string): string => segment(part).replaceAll("%3A", ":").replaceAll("%40", "@");
  return `/images/${name.split("/").map(shown).join("/")}${action}`;
}

export function listImages(
  client: Client,
  options: { readonly all: boolean; readonly filters: FilterArgs },
): Promise<readonly ImageSummary[]> {
  return client.json("GET", "/images/json", {
    query: { all: options.all ? 1 : undefined, filters: renderFilters(options.filters) },
  });
}

/** The JSON text as the daemon sent it, and the same parsed. */
export async function inspectImageRaw(
  client: Client,
  name: string,
  query: Query = {},
): Promise<{ readonly text: string; readonly value: ImageInspect }> {
  const text = await client.text("GET", pathOf(name, "/json"), { query });
  return { text, value: parseJson(text) as ImageInspect };
}

export function imageHistory(client: Client, name: string, query: Query = {}): Promise<readonly HistoryItem[]> {
  return client.json("GET", pathOf(name, "/history"), { query });
}

export async function tagImage(client: Client, name: string, repository: string, tag: string): Promise<void> {
  await client.send("POST", pathOf(name, "/tag"), { query: { repo: repository, tag } });
}

export function removeImage(client: Client, name: string, query: Query): Promise<readonly ImageDeleteResponseItem[]> {
  return client.json("DELETE", pathOf(name, ""), { query });
}

export function pruneImages(
  client: Client,
  filters: FilterArgs,
): Promise<{ readonly ImagesDeleted: readonly ImageDeleteResponseItem[] | null; readonly SpaceReclaimed: number }> {
  return client.json("POST", "/images/prune", { query: { filters: renderFilters(filters) } });
}

export function loadImages(
  client: Client,
  archive: AsyncIterable<Buffer>,
  options: { readonly quiet: boolean; readonly platform: string | undefined },
): AsyncGenerator<ProgressLine, void, undefined> {
  return client.lines("POST", "/images/load", {
    stream: archive,
    contentType: "application/x-tar",
    query: { quiet: options.quiet ? 1 : 0, platform: options.platform },
  });
}

/** POST /images/create: an import (fromSrc, with an archive when it is "-") or a pull (fromImage). */
export function createImage(
  client: Client,
  query: Query,
  options: { readonly archive?: AsyncIterable<Buffer> | undefined; readonly registryAuth?: string | undefined },
): AsyncGenerator<ProgressLine, void, undefined> {
  const { archive, registryAuth } = options;
  return client.lines("POST", "/images/create", {
    query,
    registryAuth,
    ...(archive === undefined ? {} : { stream: archive, contentType: "text/plain" }),
  });
}

/** POST /images/{name}/push. @param name without tag */
export function pushImage(
  client: Client,
  name: string,
  query: Query,
  registryAuth: string,
): AsyncGenerator<ProgressLine, void, undefined> {
  return client.lines("POST", pathOf(name, "/push"), { query, registryAuth });
}

/** GET /images/get: an archive of images. */
export async function saveImages(
  client: Client,
  names: readonly string[],
  platform: string | undefined,
  signal?: AbortSignal,
): Promise<AsyncGenerator<Buffer, void, undefined>> {
  return (await client.request("GET", "/images/get", { query: { names, platform }, signal })).body;
}

/** One hit of a search. */
export interface SearchHit {
  readonly name: string;
  readonly description: string;
  readonly star_count: number;
  readonly is_official: boolean;
  readonly is_automated: boolean;
}

export function searchImages(
  client: Client,
  term: string,
  options: { readonly limit: number; readonly filters: FilterArgs },
  registryAuth: string,
): Promise<readonly SearchHit[]> {
  const query = { term, limit: options.limit > 0 ? options.limit : undefined, filters: renderFilters(options.filters) };
  return client.json("GET", "/images/search", { query, registryAuth });
}

/** POST /commit: a container's changes become an image; its id. */
export async function commitContainer(client: Client, query: Query): Promise<string> {
  const { Id } = await client.json<{ readonly Id: string }>("POST", "/commit", { query });
  return Id;
}

/** POST /auth. @throws DaemonError the registry refuses */
export function checkLogin(
  client: Client,
  credentials: { readonly username: string; readonly password: string; readonly serveraddress: string },
): Promise<{ readonly Status?: string; readonly IdentityToken?: string }> {
  return client.json("POST", "/auth", { json: credentials });
}
