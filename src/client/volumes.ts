// Typed calls about volumes. Source: Docker Engine API 1.51; snapshots, restore, export and import are Gantry's own.

import type { Volume, VolumeCreateRequest, VolumeList, VolumeSnapshot } from "../spec/docker/volume.ts";
import { type Client, DaemonError } from "./client.ts";
import { segment } from "./containers.ts";
import { renderFilters, type FilterArgs } from "./filters.ts";
import { parseJson } from "./json.ts";

/** @throws Error an empty name: the path would mean something else */
function pathOf(name: string, action = ""): string {
  if (name.trim() === "") throw new Error("invalid volume name or ID: value is empty");
  return `/volumes/${segment(name)}${action}`;
}

export function createVolume(client: Client, body: VolumeCreateRequest): Promise<Volume> {
  return client.json("POST", "/volumes/create", { json: body });
}

export function listVolumes(client: Client, filters: FilterArgs): Promise<VolumeList> {
  return client.json("GET", "/volumes", { query: { filters: renderFilters(filters) } });
}

/** The JSON text as the daemon sent it, and the same parsed. */
export async function inspectVolumeRaw(
  client: Client,
  name: string,
): Promise<{ readonly text: string; readonly value: Volume }> {
  const text = await client.text("GET", pathOf(name));
  return { text, value: parseJson(text) as Volume };
}

export async function removeVolume(client: Client, name: string, force: boolean): Promise<void> {
  await client.send("DELETE", pathOf(name), { query: { force: force ? 1 : undefined } });
}

/** Volumes that no container uses: anonymous ones, all with the filter `all`. */
export function pruneVolumes(
  client: Client,
  filters: FilterArgs,
): Promise<{ readonly VolumesDeleted: readonly string[] | null; readonly SpaceReclaimed: number }> {
  return client.json("POST", "/volumes/prune", { query: { filters: renderFilters(filters) } });
}

/**
 * Does something that only gantryd has.
 *
 * @param path         of the request
 * @throws Error       the engine has no such thing
 * @throws DaemonError
 */
async function own<T>(client: Client, path: string, act: (path: string) => Promise<T>): Promise<T> {
  try {
    return await act(path);
  } catch (error) {
    // dockerd takes everything after "/volumes/" for a name where it has a route of that method at all.
    const asName = `get ${decodeURIComponent(path.slice("/volumes/".length))}: no such volume`;
    if (error instanceof DaemonError && ["page not found", asName].includes(error.message))
      throw new Error(
        `the daemon at ${client.host} has no snapshots, restore, export and import of volumes: they are Gantry's own`,
        { cause: error },
      );
    throw error;
  }
}

/** PUT /volumes/{name}: other labels. dockerd changes those of cluster volumes only. */
export async function updateVolume(
  client: Client,
  name: string,
  labels: Readonly<Record<string, string>>,
): Promise<void> {
  await client.send("PUT", pathOf(name), { json: { Labels: labels } });
}

export function snapshotVolume(
  client: Client,
  volume: string,
  body: { readonly Name: string; readonly Comment: string },
): Promise<VolumeSnapshot> {
  return own(client, pathOf(volume, "/snapshots"), (path) => client.json("POST", path, { json: body }));
}

export function listVolumeSnapshots(client: Client, volume: string): Promise<readonly VolumeSnapshot[]> {
  return own(client, pathOf(volume, "/snapshots"), (path) => client.json("GET", path));
}

export async function removeVolumeSnapshot(client: Client, volume: string, snapshot: string): Promise<void> {
  if (snapshot.trim() === "") throw new Error("invalid snapshot name: value is empty");
  await own(client, pathOf(volume, `/snapshots/${segment(snapshot)}`), (path) => client.send("DELETE", path));
}

/**
 * Makes a volume what a snapshot holds.
 *
 * @param options.discard  what the volume holds is not kept as a snapshot
 * @returns what was there before, as a snapshot
 */
export async function restoreVolume(
  client: Client,
  volume: string,
  options: { readonly snapshot: string; readonly discard: boolean },
): Promise<VolumeSnapshot | undefined> {
  const query = { snapshot: options.snapshot, discard: options.discard ? 1 : undefined };
  const { Replaced } = await own(client, pathOf(volume, "/restore"), (path) =>
    client.json<{ readonly Replaced?: VolumeSnapshot | null }>("POST", path, { query }),
  );
  return Replaced ?? undefined;
}

/** A volume's content as a tar. @param snapshot as it was then; "" is now */
export async function exportVolume(
  client: Client,
  volume: string,
  snapshot: string,
): Promise<AsyncGenerator<Buffer, void, undefined>> {
  const query = { snapshot: snapshot || undefined };
  const response = await own(client, pathOf(volume, "/export"), (path) => client.request("GET", path, { query }));
  return response.body;
}

/** A new volume of a tar. */
export function importVolume(
  client: Client,
  options: { readonly name: string; readonly labels: Readonly<Record<string, string>> },
  tar: AsyncIterable<Buffer>,
): Promise<Volume> {
  const { name, labels } = options;
  const query = {
    name,
    labels: Object.keys(labels).length === 0 ? undefined : JSON.stringify(labels),
  };
  return own(client, "/volumes/import", (path) =>
    client.json("POST", path, { query, stream: tar, contentType: "application/x-tar" }),
  );
}
