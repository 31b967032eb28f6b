// What a stopped container's tree shows beside its layers: its volumes and binds, for cp.

import { stat } from "node:fs/promises";
import type { RootMount } from "../files/index.ts";
import { imageLayerKey, mountsOf } from "./mount-plan.ts";
import type { ContainerRecord } from "./model.ts";
import type { Room } from "./room.ts";

/**
 * Volumes and binds of a container that does not run, mounted by their drivers until disposed; images of one layer too. Tmpfs mounts are
 * not among them; a bind whose source is gone is left out. To be called with the container locked.
 *
 * @throws NotFound a volume is gone; System a driver cannot
 */
export async function holdRootMounts(
  room: Room,
  record: ContainerRecord,
): Promise<AsyncDisposable & { readonly mounts: readonly RootMount[] }> {
  const { volumes, snapshots } = room.deps;
  const { id } = record;
  const mounts: RootMount[] = [];
  const paths = new Map<string, string>();
  const unmount = async (): Promise<void> => {
    for (const name of paths.keys()) await volumes.unmount(name, id);
  };
  let images = 0;
  try {
    for (const mount of mountsOf(record)) {
      const { destination: target, readOnly } = mount;
      if (mount.kind === "bind" && (await exists(mount.source)))
        mounts.push({ source: mount.source, subpath: "", target, readOnly });
      if (mount.kind === "volume") {
        const source = paths.get(mount.name) ?? (await volumes.mount(mount.name, id));
        paths.set(mount.name, source);
        mounts.push({ source, subpath: mount.subpath, target, readOnly });
      }
      if (mount.kind === "image") {
        const [source, ...more] = snapshots.dirs(imageLayerKey(id, images++)).lower;
        if (source !== undefined && more.length === 0)
          mounts.push({ source, subpath: mount.subpath, target, readOnly: true });
      }
    }
  } catch (error) {
    await unmount();
    throw error;
  }
  return { mounts, [Symbol.asyncDispose]: unmount };
}

function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}
