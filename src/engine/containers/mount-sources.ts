// Where a container's mounts come from while it runs: volumes are mounted by their drivers for its start and unmounted at its
// end; parts of volumes and images are shown by its shim. Both ends are idempotent.

import { join } from "node:path";
import type { ContainerId } from "../../base/ids.ts";
import type { PlannedMount, SourcedMount } from "../runtime/index.ts";
import type { ShimView } from "../runtime/shim.ts";
import { imageLayerKey, volumeNamesOf } from "./mount-plan.ts";
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
  let images = 0;
  try {
    for (const [index, mount] of planned.entries()) {
      const view = (tree: ShimView["tree"], subpath: string, readonly: boolean): string => {
        const inside = subpath === "" ? undefined : subpath;
        views.push({ name: String(index), tree, source: inside, target: undefined, readonly });
        return viewPath(room, id, index);
      };
      let source = "";
      if (mount.kind === "bind") source = mount.source;
      if (mount.kind === "volume") {
        const path = paths.get(mount.name) ?? (await volumes.mount(mount.name, id));
        paths.set(mount.name, path);
        source =
          mount.subpath === "" ? path : view({ kind: "path", path, isSocket: false }, mount.subpath, mount.readOnly);
      }
      if (mount.kind === "image") {
        const { lower } = snapshots.dirs(imageLayerKey(id, images++));
        const [only = ""] = lower;
        // The kernel makes no overlay of one directory that nobody writes to.
        const tree =
          lower.length === 1
            ? ({ kind: "path", path: only, isSocket: false } as const)
            : ({ kind: "layers", lower, writable: undefined } as const);
        source = view(tree, mount.subpath, true);
      }
      mounts.push({ mount, source });
    }
  } catch (error) {
    for (const name of paths.keys()) await volumes.unmount(name, id);
    throw error;
  }
  return { mounts, views };
}

/** Where the shim shows a mount's tree, by its place among all mounts of its container. */
export function viewPath(room: Room, id: ContainerId, index: number): string {
  return join(room.runDir(id), "views", String(index));
}

/** To be called when nothing of the run has them mounted any more. Never throws. */
export async function unmountVolumes(room: Room, record: Pick<ContainerRecord, "id" | "plannedMounts">): Promise<void> {
  for (const name of volumeNamesOf(record)) await room.deps.volumes.unmount(name, record.id);
}
