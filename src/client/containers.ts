// Typed calls about containers and execs. Names and ids go into paths encoded. Source: Docker Engine API 1.51.

import type {
  ContainerCreateResponse,
  ContainerInspectResponse,
  ContainerSummary,
  ContainerTopResponse,
  ContainerWaitResponse,
} from "../spec/docker/container.ts";
import type { Client, HijackedStream, Query } from "./client.ts";
import { renderFilters, type FilterArgs } from "./filters.ts";
import { parseJson } from "./json.ts";
import type { RawResponse } from "./http.ts";

/** A path segment of a name or id. */
export function segment(nameOrId: string): string {
  return encodeURIComponent(nameOrId);
}

function pathOf(nameOrId: string, action: string): string {
  return `/containers/${segment(nameOrId)}${action}`;
}

export function createContainer(
  client: Client,
  body: unknown,
  options: { readonly name: string; readonly platform: string },
  signal?: AbortSignal,
): Promise<ContainerCreateResponse> {
  return client.json("POST", "/containers/create", {
    json: body,
    query: { name: options.name || undefined, platform: options.platform || undefined },
    signal,
  });
}

export function listContainers(
  client: Client,
  options: {
    readonly all: boolean;
    /** Newest n of all states; 0 or less for no limit. */
    readonly limit: number;
    readonly size: boolean;
    readonly filters: FilterArgs;
  },
): Promise<readonly ContainerSummary[]> {
  return client.json("GET", "/containers/json", {
    query: {
      all: options.all ? 1 : undefined,
      limit: options.limit > 0 ? options.limit : undefined,
      size: options.size ? 1 : undefined,
      filters: renderFilters(options.filters),
    },
  });
}

/** The JSON text as the daemon sent it, and the same parsed. */
export async function inspectContainerRaw(
  client: Client,
  nameOrId: string,
  size = false,
): Promise<{ readonly text: string; readonly value: ContainerInspectResponse }> {
  const text = await client.text("GET", pathOf(nameOrId, "/json"), { query: { size: size ? 1 : undefined } });
  return { text, value: parseJson(text) as ContainerInspectResponse };
}

export async function startContainer(client: Client, nameOrId: string): Promise<void> {
  await client.send("POST", pathOf(nameOrId, "/start"));
}

/** POST an action without a body: stop, restart, kill, pause, unpause, rename. */
export async function actOnContainer(
  client: Client,
  nameOrId: string,
  action: string,
  query: Query = {},
): Promise<void> {
  await client.send("POST", pathOf(nameOrId, `/${action}`), { query });
}

export async function removeContainer(
  client: Client,
  nameOrId: string,
  options: { readonly force: boolean; readonly link: boolean; readonly volumes: boolean },
): Promise<void> {
  await client.send("DELETE", pathOf(nameOrId, ""), {
    query: {
      force: options.force ? 1 : undefined,
      link: options.link ? 1 : undefined,
      v: options.volumes ? 1 : undefined,
    },
  });
}

/** Resolves when the daemon watches; `result` when the condition came true. */
export async function waitContainer(
  client: Client,
  nameOrId: string,
  condition: "" | "next-exit" | "removed",
  signal?: AbortSignal,
): Promise<{ readonly result: Promise<ContainerWaitResponse> }> {
  const response = await client.request("POST", pathOf(nameOrId, "/wait"), {
    query: { condition: condition || undefined },
    signal,
  });
  const result = (async () => {
    const chunks: Buffer[] = [];
    for await (const chunk of response.body) chunks.push(chunk);
    // Headers go out when the waiting begins: a daemon that ends meanwhile leaves an empty body.
    if (chunks.length === 0) throw new Error("unexpected EOF");
    return JSON.parse(Buffer.concat(chunks).toString("utf8")) as ContainerWaitResponse;
  })();
  result.catch(() => undefined);
  return { result };
}

export function attachContainer(
  client: Client,
  nameOrId: string,
  options: {
    readonly stdin: boolean;
    readonly stdout: boolean;
    readonly stderr: boolean;
    readonly detachKeys: string;
    readonly logs?: boolean;
  },
  signal?: AbortSignal,
): Promise<HijackedStream> {
  return client.hijack(pathOf(nameOrId, "/attach"), {
    query: {
      stream: 1,
      stdin: options.stdin ? 1 : undefined,
      stdout: options.stdout ? 1 : undefined,
      stderr: options.stderr ? 1 : undefined,
      detachKeys: options.detachKeys || undefined,
      logs: options.logs === true ? 1 : undefined,
    },
    signal,
  });
}

export async function resizeContainer(client: Client, nameOrId: string, rows: number, columns: number): Promise<void> {
  await client.send("POST", pathOf(nameOrId, "/resize"), { query: { h: rows, w: columns } });
}

export function containerLogs(client: Client, nameOrId: string, query: Query): Promise<RawResponse> {
  return client.request("GET", pathOf(nameOrId, "/logs"), { query });
}

export function topContainer(client: Client, nameOrId: string, psArgs: string): Promise<ContainerTopResponse> {
  return client.json("GET", pathOf(nameOrId, "/top"), { query: { ps_args: psArgs || undefined } });
}

export function pruneContainers(
  client: Client,
  filters: FilterArgs,
): Promise<{ readonly ContainersDeleted: readonly string[] | null; readonly SpaceReclaimed: number }> {
  return client.json("POST", "/containers/prune", { query: { filters: renderFilters(filters) } });
}

export async function createExec(client: Client, nameOrId: string, body: unknown): Promise<string> {
  const { Id } = await client.json<{ readonly Id: string }>("POST", pathOf(nameOrId, "/exec"), { json: body });
  return Id;
}

export async function startExecDetached(client: Client, id: string, tty: boolean): Promise<void> {
  await client.send("POST", `/exec/${segment(id)}/start`, { json: { Detach: true, Tty: tty } });
}

export function startExecAttached(
  client: Client,
  id: string,
  options: { readonly tty: boolean; readonly consoleSize: readonly [number, number] | undefined },
): Promise<HijackedStream> {
  return client.hijack(`/exec/${segment(id)}/start`, {
    json: {
      Detach: false,
      Tty: options.tty,
      ...(options.consoleSize === undefined ? {} : { ConsoleSize: options.consoleSize }),
    },
  });
}

export function inspectExec(
  client: Client,
  id: string,
): Promise<{ readonly Running: boolean; readonly ExitCode: number | null }> {
  return client.json("GET", `/exec/${segment(id)}/json`);
}

export async function resizeExec(client: Client, id: string, rows: number, columns: number): Promise<void> {
  await client.send("POST", `/exec/${segment(id)}/resize`, { query: { h: rows, w: columns } });
}

/** GET /containers/{id}/export: its file system as a tar archive. */
export async function exportContainer(
  client: Client,
  nameOrId: string,
): Promise<AsyncGenerator<Buffer, void, undefined>> {
  return (await client.request("GET", pathOf(nameOrId, "/export"))).body;
}
