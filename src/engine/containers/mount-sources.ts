// Where a container's mounts come from while it runs: volumes are mounted by their drivers for its start and unmounted at its
// end; parts of volumes and images are shown by its shim. Both ends are idempotent.

import { join } from "node:path";
import type { ContainerId } from "../../base/ids.ts";
import type { PlannedMount, SourcedMount } from "../runtime/index.ts";
import type { ShimView } from "../runtime/shim.ts";
import type { OverlayDirs } from "../snapshots/index.ts";
import type { VolumePlace } from "../volumes/index.ts";
import { imageLayerKey, isVolume, volumeNamesOf } from "./mount-plan.ts";
import type { ContainerRecord } from "./model.ts";
import type { Room } from "./room.ts";

export interface MountSources {
  readonly mounts: readonly SourcedMount[];
  /** For the shim: the spec binds them from `<runDir>/views`. */
  readonly views: readonly ShimView[];
}

/**
 * Mounts the volumes, and works out what each mount is bound from. A failure unmounts what was mounted here.
 *
 * @throws NotFound a volume is gone; System a driver cannot; DataLoss the layers of an image are gone
 */
export async function mountSources(
  room: Room,
  id: ContainerId,
  planned: readonly PlannedMount[],
): Promise<MountSources> {
  const { volumes, snapshots } = room.deps;
  const mounts: SourcedMount[] = [];
  const views: ShimView[] = [];
  const paths = new Map<string, string>();
  const volume = async (name: string): Promise<string> => {
    const path = paths.get(name) ?? (await volumes.mount(name, id, placesOf(planned, name)));
    paths.set(name, path);
    return path;
  };
  let images = 0;
  try {
    for (const [index, mount] of planned.entries()) {
      const tree = mount.kind === "image" ? imageTree(snapshots.dirs(imageLayerKey(id, images++))) : undefined;
      const path = mount.kind === "volume" ? await volume(mount.name) : mount.kind === "bind" ? mount.source : "";
      const subpath = mount.kind === "volume" || mount.kind === "image" ? mount.subpath : "";
      if (tree === undefined && subpath === "") {
        mounts.push({ mount, source: path });
        continue;
      }
      views.push({
        name: String(index),
        tree: tree ?? { kind: "path", path, isSocket: false },
        source: subpath === "" ? undefined : subpath,
        target: undefined,
        readonly: mount.readOnly,
      });
      mounts.push({ mount, source: viewPath(room, id, index), isView: true });
    }
  } catch (error) {
    for (const name of paths.keys()) await volumes.unmount(name, id);
    throw error;
  }
  return { mounts, views };
}

function placesOf(planned: readonly PlannedMount[], name: string): readonly VolumePlace[] {
  return planned
    .filter(isVolume)
    .filter((mount) => mount.name === name)
    .map(({ destination, readOnly }) => ({ destination, isWritable: !readOnly, propagation: "" }));
}

/** An image without layers has nothing but the empty directory that is its container's. */
function imageTree({ lower, upper }: OverlayDirs): ShimView["tree"] {
  return lower.length === 0
    ? { kind: "path", path: upper, isSocket: false }
    : { kind: "layers", lower, writable: undefined };
}

/** Where the shim shows a mount's tree, by its place among all mounts of its container. */
export function viewPath(room: Room, id: ContainerId, index: number): string {
  return join(room.runDir(id), "views", String(index));
}

/** To be called when nothing of the run has them mounted any more. Never throws. */
export async function unmountVolumes(room: Room, record: Pick<ContainerRecord, "id" | "plannedMounts">): Promise<void> {
  for (const name of volumeNamesOf(record)) await room.deps.volumes.unmount(name, record.id);
}
