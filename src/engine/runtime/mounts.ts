// All mounts of a container, parsed once into a plan: what goes where, in which order, and which host paths must exist first.
// Whoever comes first has a destination: Binds, Mounts and Tmpfs (two of them on one are an error), then VolumesFrom (the last
// one), then Config.Volumes and those of the image. Texts as dockerd 28.5 gives them. Pure.
// Source: Engine API 1.51, HostConfig.{Binds,Mounts,Tmpfs,VolumesFrom,VolumeDriver}, Config.Volumes.

import type { ContainerConfig, HostConfig } from "../../spec/docker/container.ts";
import { parseBind } from "./mount-binds.ts";
import { MountError, parseDestination, volumeNameError } from "./mount-fields.ts";
import { parseMount, planTmpfs } from "./mount-objects.ts";
import { outerFirst, type PlannedMount, type PlannedVolume } from "./planned-mount.ts";

export interface MountPlan {
  /** Outer mounts before the ones inside them; otherwise in the order asked for. */
  readonly mounts: readonly PlannedMount[];
  /** In dockerd's words. */
  readonly errors: readonly string[];
}

/** What a plan is made of beside HostConfig. */
export interface MountRequest {
  readonly hostConfig: HostConfig;
  /** Of the merged Config: the client's and the image's. */
  readonly volumes?: ContainerConfig["Volumes"];
  /** What VolumesFrom means, in its order; see inheritMounts. */
  readonly inherited?: readonly PlannedMount[];
  /** The kernel knows mount_setattr (5.12): a read-only bind covers the mounts below it. */
  readonly recursiveReadOnly: boolean;
}

/** A host path that a container needs; what to do with it is the caller's effect. */
export interface HostPath {
  readonly path: string;
  /** true: make a directory where nothing is (Binds). false: "bind source path does not exist: <path>" (Mounts). */
  readonly create: boolean;
}

/** Works out every mount of a container. Never throws; what is wrong stands in `errors`. */
export function planMounts(request: MountRequest): MountPlan {
  const { hostConfig, recursiveReadOnly } = request;
  const driver = hostConfig.VolumeDriver ?? "";
  const asked = new Map<string, PlannedMount>();
  const errors: string[] = [];
  const attempt = (act: () => void): void => {
    try {
      act();
    } catch (error) {
      if (!(error instanceof MountError)) throw error;
      errors.push(error.message);
    }
  };
  const add = (plan: () => PlannedMount): void =>
    attempt(() => {
      const mount = plan();
      if (asked.has(mount.destination)) throw new MountError(`Duplicate mount point: ${mount.destination}`);
      asked.set(mount.destination, mount);
    });
  for (const text of hostConfig.Binds ?? []) add(() => parseBind(text, driver));
  for (const mount of hostConfig.Mounts ?? []) add(() => parseMount(mount, recursiveReadOnly));
  for (const [path, text] of Object.entries(hostConfig.Tmpfs ?? {})) {
    const words = text === "" ? [] : text.split(",");
    add(() => planTmpfs("Tmpfs", parseDestination(path), words, words.lastIndexOf("ro") > words.lastIndexOf("rw")));
  }
  const all = new Map<string, PlannedMount>();
  for (const mount of [...(request.inherited ?? []), ...asked.values()]) all.set(mount.destination, mount);
  for (const path of Object.keys(request.volumes ?? {})) {
    attempt(() => {
      const volume = planConfigVolume(path, driver);
      if (!all.has(volume.destination)) all.set(volume.destination, volume);
    });
  }
  return { mounts: outerFirst([...all.values()], ({ destination }) => destination), errors };
}

/** An image may say anything, "../../etc" too: it is read as a path from the container's root, and cannot lead out of that. */
function planConfigVolume(path: string, driver: string): PlannedVolume {
  let destination: string;
  try {
    destination = parseDestination(`/${path}`);
  } catch (error) {
    if (!(error instanceof MountError)) throw error;
    throw new MountError(`invalid mount config for type "volume": ${error.message}`);
  }
  return {
    kind: "volume",
    origin: "Volumes",
    destination,
    readOnly: false,
    mode: "",
    name: "",
    anonymous: true,
    driver,
    options: {},
    labels: {},
    copy: true,
    subpath: "",
  };
}

/** The host paths that must exist before the container starts, in the order of the mounts. */
export function hostPathsOf(mounts: readonly PlannedMount[]): readonly HostPath[] {
  return mounts.flatMap((mount) => (mount.kind === "bind" ? [{ path: mount.source, create: mount.createSource }] : []));
}

/**
 * What is wrong with the names of volumes that are not there; what a plugin makes of a name is its own business.
 *
 * @param isThere a volume has the name
 */
export function volumeNameErrors(
  mounts: readonly PlannedMount[],
  isThere: (name: string) => boolean,
): readonly string[] {
  return mounts.flatMap((mount) => {
    if (mount.kind !== "volume" || mount.name === "" || isThere(mount.name)) return [];
    if (mount.driver !== "" && mount.driver !== "local") return [];
    const error = volumeNameError(mount.name);
    return error === undefined ? [] : [error];
  });
}

/** What the client should know. dockerd's words. */
export function mountWarnings({ VolumeDriver, Mounts }: HostConfig): readonly string[] {
  return (VolumeDriver ?? "") !== "" && (Mounts ?? []).some(({ Type }) => Type === "volume")
    ? [
        "WARNING: the container-wide volume-driver configuration is ignored for volumes specified via 'mount'. Use '--mount type=volume,volume-driver=...' instead",
      ]
    : [];
}
