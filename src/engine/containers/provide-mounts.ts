// Before a container's commit: the volumes that it mounts are found or made and filled, the layers of images that it mounts are
// kept for it. All of it becomes true with that commit, or is undone.

import { EngineError } from "../../base/errors.ts";
import type { ContainerId } from "../../base/ids.ts";
import type { ResolvedImage } from "../images/index.ts";
import { confinedKind, type PlannedMount, type PlannedVolume } from "../runtime/index.ts";
import type { Change } from "../store/index.ts";
import type { ProvidedVolume } from "../volumes/index.ts";
import { imageLayerKey, isImage, isVolume } from "./mount-plan.ts";
import type { Room } from "./room.ts";

export interface ProvidedMounts {
  /** With the names of anonymous volumes, the drivers, and the ids of images. */
  readonly mounts: readonly PlannedMount[];
  /** By name. */
  readonly volumes: ReadonlyMap<string, ProvidedVolume>;
  readonly changes: readonly Change[];
  /** After the commit. */
  committed(): void;
}

/**
 * @param lower the container's own layers, which empty volumes are filled from
 * @param undo  takes what was made away again
 * @param held  keeps others from removing what is used; to be disposed after the commit, and after `undo`
 * @throws NotFound an image, or a volume of another container that is gone meanwhile; what Volumes.provide throws
 */
export async function provideMounts(
  room: Room,
  id: ContainerId,
  planned: readonly PlannedMount[],
  lower: readonly string[],
  undo: AsyncDisposableStack,
  held: DisposableStack,
  signal: AbortSignal,
): Promise<ProvidedMounts> {
  const { images, snapshots, volumes } = room.deps;
  const mountedImages: ResolvedImage[] = [];
  for (const mount of planned.filter(isImage)) {
    const found =
      mount.imageId === ""
        ? await images.resolve(mount.image, undefined)
        : await images.get(mount.imageId as ResolvedImage["id"]);
    held.use(images.hold(found.id));
    mountedImages.push(found);
  }
  const changes: Change[] = [];
  for (const [order, { topLayer }] of mountedImages.entries()) {
    const layer = await snapshots.prepare(imageLayerKey(id, order), topLayer);
    undo.defer(() => layer.undo());
    changes.push(...layer.changes);
  }
  const wanted = planned.filter(isVolume);
  for (const { origin, name } of wanted) {
    if (origin === "VolumesFrom" && !volumes.has(name))
      throw new EngineError("NotFound", `get ${name}: no such volume`);
  }
  if (wanted.length === 0)
    return { mounts: withDecisions(planned, [], mountedImages), volumes: new Map(), changes, committed: () => {} };
  const filled = await findContent(wanted, lower);
  const provided = await volumes.provide(
    wanted.map((mount) => ({
      name: mount.name === "" ? undefined : mount.name,
      driver: mount.driver,
      options: mount.options,
      labels: mount.labels,
      fill: filled.has(mount) ? { lower, path: mount.destination } : undefined,
    })),
    signal,
  );
  held.use(provided);
  undo.defer(() => provided.undo());
  return {
    mounts: withDecisions(planned, provided.volumes, mountedImages),
    volumes: new Map(provided.volumes.map((volume) => [volume.name, volume])),
    changes: [...changes, ...provided.changes],
    committed: () => provided.committed(),
  };
}

/**
 * Which volumes may have content of the image put into them: a look at the layers is a hundredth of what the copying program costs.
 *
 * @throws InvalidParameter a volume is a directory and cannot be put upon a file of the image; a part of a volume may be a file
 */
async function findContent(
  wanted: readonly PlannedVolume[],
  lower: readonly string[],
): Promise<ReadonlySet<PlannedVolume>> {
  const found = new Set<PlannedVolume>();
  for (const mount of wanted) {
    if (mount.subpath !== "") continue;
    const { destination } = mount;
    const kind = await confinedKind(lower, destination);
    if (kind === "file")
      throw new EngineError("InvalidParameter", `cannot mount volume over existing file, file exists ${destination}`);
    if (kind === "directory" && mount.copy && lower.length > 0) found.add(mount);
  }
  return found;
}

function withDecisions(
  planned: readonly PlannedMount[],
  volumes: readonly ProvidedVolume[],
  images: readonly ResolvedImage[],
): readonly PlannedMount[] {
  const nextVolume = volumes.values();
  const nextImage = images.values();
  return planned.map((mount): PlannedMount => {
    if (mount.kind === "image") return { ...mount, imageId: nextImage.next().value?.id ?? mount.imageId };
    if (mount.kind !== "volume") return mount;
    const { name, driver } = nextVolume.next().value ?? mount;
    return { ...mount, name, driver };
  });
}
