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
  // Slashes of a repository are part of the path; everything else is encoded.
  return `/images/${name.split("/").map(segment).join("/")}${action}`;
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

/** POST /images/create: an import (fromSrc) or a pull (fromImage). */
export function createImage(
  client: Client,
  query: Query,
  archive: AsyncIterable<Buffer> | undefined,
): AsyncGenerator<ProgressLine, void, undefined> {
  return client.lines("POST", "/images/create", {
    query,
    ...(archive === undefined ? {} : { stream: archive, contentType: "text/plain" }),
  });
}
