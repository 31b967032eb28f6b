// The names that a daemon has, for completion: asked for with little patience, for a shell waits.

import type { ContainerSummary } from "../../../spec/docker/container.ts";
import type { ImageSummary } from "../../../spec/docker/image.ts";
import type { Network } from "../../../spec/docker/network.ts";
import type { VolumeList, VolumeSnapshot } from "../../../spec/docker/volume.ts";
import type { Client } from "../../../client/client.ts";
import { segment } from "../../../client/containers.ts";
import { renderFilters } from "../../../client/filters.ts";

/** A name, and a few words about it. */
export interface Candidate {
  readonly word: string;
  readonly about: string;
}

const patienceMs = 2000;

const states: Readonly<Record<"container" | "running" | "startable" | "paused", readonly string[]>> = {
  container: [],
  running: ["running"],
  startable: ["created", "exited"],
  paused: ["paused"],
};

/** Names of containers in the states that a kind means. */
export async function containerNames(client: Client, kind: keyof typeof states): Promise<readonly Candidate[]> {
  const wanted = states[kind];
  const filters = renderFilters(new Map(wanted.length === 0 ? [] : [["status", wanted]]));
  const containers = await client.json<readonly ContainerSummary[]>("GET", "/containers/json", {
    query: { all: 1, filters },
    signal: AbortSignal.timeout(patienceMs),
  });
  return containers.flatMap(({ Names, Image, Status }) =>
    (Names ?? [])
      .map((name) => name.replace(/^\//, ""))
      // "web/db" is the alias of a link.
      .filter((name) => !name.includes("/"))
      .map((word) => ({ word, about: `${Image ?? ""}, ${Status ?? ""}` })),
  );
}

export async function imageNames(client: Client): Promise<readonly Candidate[]> {
  const images = await client.json<readonly ImageSummary[]>("GET", "/images/json", {
    signal: AbortSignal.timeout(patienceMs),
  });
  const tags = images.flatMap(({ RepoTags }) => RepoTags ?? []).filter((tag) => !tag.includes("<none>"));
  return tags.map((word) => ({ word, about: "image" }));
}

export async function networkNames(client: Client): Promise<readonly Candidate[]> {
  const networks = await client.json<readonly Network[]>("GET", "/networks", {
    signal: AbortSignal.timeout(patienceMs),
  });
  return networks.map(({ Name, Driver }) => ({ word: Name ?? "", about: `network, ${Driver ?? ""}` }));
}

export async function volumeNames(client: Client): Promise<readonly Candidate[]> {
  const { Volumes } = await client.json<VolumeList>("GET", "/volumes", { signal: AbortSignal.timeout(patienceMs) });
  return (Volumes ?? []).map(({ Name, Driver }) => ({ word: Name, about: `volume, ${Driver}` }));
}

export async function snapshotNames(client: Client, volume: string): Promise<readonly Candidate[]> {
  const snapshots = await client.json<readonly VolumeSnapshot[]>("GET", `/volumes/${segment(volume)}/snapshots`, {
    signal: AbortSignal.timeout(patienceMs),
  });
  return snapshots.map(({ Name, Comment, CreatedAt }) => ({ word: Name, about: Comment || CreatedAt }));
}
