// What a container mounts, as it was decided when it was created: read from its record, and worked out for a new one with
// what it takes over from other containers (VolumesFrom).

import { EngineError, isEngineError } from "../../base/errors.ts";
import type { ContainerId } from "../../base/ids.ts";
import {
  hasRecursiveReadOnly,
  inheritMounts,
  parseVolumesFrom,
  type PlannedImage,
  type PlannedMount,
  type PlannedVolume,
  planMounts,
} from "../runtime/index.ts";
import type { ContainerConfig, HostConfig } from "../../spec/docker/container.ts";
import type { ContainerRecord } from "./model.ts";
import { resolveContainer } from "./resolve.ts";
import type { Room } from "./room.ts";

type Planned = Pick<ContainerRecord, "id" | "hostConfig" | "plannedMounts">;

/**
 * Outer mounts before the ones inside them. Records of daemons that had no volumes hold binds and tmpfs in their HostConfig alone.
 *
 * @throws System such a record has a mount that is refused today
 */
export function mountsOf({ id, hostConfig, plannedMounts }: Planned): readonly PlannedMount[] {
  if (plannedMounts !== undefined) return plannedMounts;
  const { mounts, errors } = planMounts({ hostConfig, recursiveReadOnly: true });
  if (errors.length > 0)
    throw new EngineError("System", `a mount of container ${id} is not possible: ${errors.join("; ")}`);
  return mounts;
}

/** All volumes of a container, each name once. */
export function volumeNamesOf({ plannedMounts = [] }: Pick<ContainerRecord, "plannedMounts">): readonly string[] {
  return [...new Set(plannedMounts.filter(isVolume).map(({ name }) => name))];
}

/** Those that nobody has given a name to; their container's removal may take them along. */
export function anonymousVolumesOf({ plannedMounts = [] }: Pick<ContainerRecord, "plannedMounts">): readonly string[] {
  return [
    ...new Set(
      plannedMounts
        .filter(isVolume)
        .filter(({ anonymous }) => anonymous)
        .map(({ name }) => name),
    ),
  ];
}

/** Ids of the images that a container mounts. */
export function mountedImagesOf({ plannedMounts = [] }: Pick<ContainerRecord, "plannedMounts">): readonly string[] {
  return plannedMounts.filter(isImage).map(({ imageId }) => imageId);
}

/** The writable layer that keeps an image's layers for a container that mounts it, by the order of its image mounts. */
export function imageLayerKey(id: ContainerId, order: number): string {
  return `${id}-image-${order}`;
}

/** The container whose layer has a key. */
export function layerOwner(key: string): ContainerId {
  return key.replace(/-image-\d+$/, "") as ContainerId;
}

/** All keys of a container's layers, its own first. */
export function layerKeysOf({
  id,
  plannedMounts = [],
}: Pick<ContainerRecord, "id" | "plannedMounts">): readonly string[] {
  return [id, ...plannedMounts.filter(isImage).map((_, order) => imageLayerKey(id, order))];
}

export function isVolume(mount: PlannedMount): mount is PlannedVolume {
  return mount.kind === "volume";
}

export function isImage(mount: PlannedMount): mount is PlannedImage {
  return mount.kind === "image";
}

/**
 * The mounts of a container that is being created; what is wrong with them by itself is the spec room's to say.
 *
 * @param volumes of the merged Config
 * @returns `invalid`: containers of VolumesFrom that are not there
 */
export function planContainerMounts(
  room: Room,
  hostConfig: HostConfig,
  volumes: ContainerConfig["Volumes"],
): { readonly mounts: readonly PlannedMount[]; readonly invalid: readonly string[] } {
  const invalid: string[] = [];
  const inherited: PlannedMount[] = [];
  for (const text of hostConfig.VolumesFrom ?? []) {
    try {
      const { container, readOnly } = parseVolumesFrom(text);
      inherited.push(...inheritMounts(mountsOf(room.get(resolveContainer(room, container)).record), readOnly));
    } catch (error) {
      // What is no specification at all is reported where the whole request is looked at.
      if (!(error instanceof EngineError)) continue;
      if (!isEngineError(error, "NotFound") && !isEngineError(error, "InvalidParameter")) throw error;
      invalid.push(error.message);
    }
  }
  const recursiveReadOnly = hasRecursiveReadOnly(room.deps.facts.kernelVersion);
  const { mounts } = planMounts({ hostConfig, volumes: volumes ?? null, inherited, recursiveReadOnly });
  return { mounts, invalid };
}
