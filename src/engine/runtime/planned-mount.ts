// A mount of a container as it was decided when the container was created; plain data, for it is kept in the container's record.
// How it is put into the OCI spec: renderMount.

import type { OciMount } from "../../spec/oci/runtime.ts";

interface Planned {
  /** Where it was asked for. VolumesFrom: in another container. Volumes: the image's, or Config.Volumes. */
  readonly origin: "Binds" | "Mounts" | "Tmpfs" | "Volumes" | "VolumesFrom";
  /** Clean absolute path in the container. */
  readonly destination: string;
  readonly readOnly: boolean;
  /** As inspect shows it: the part of a bind after the second colon, the words of a tmpfs. */
  readonly mode: string;
}

export interface PlannedBind extends Planned {
  readonly kind: "bind";
  /** Clean absolute path on the host. */
  readonly source: string;
  /** "" where the client named none: rprivate. */
  readonly propagation: string;
  /** Mounts below the source come along. */
  readonly recursive: boolean;
  /** What read-only means for the mounts below: as far as the kernel can, only the top, or all or nothing. */
  readonly readOnlyDepth: "possible" | "top" | "all";
  /** A missing source is made as a directory; otherwise it is an error. */
  readonly createSource: boolean;
}

export interface PlannedVolume extends Planned {
  readonly kind: "volume";
  /** "" until an anonymous volume has been given one. */
  readonly name: string;
  /** The client named none: it goes with its container, if that is wanted. */
  readonly anonymous: boolean;
  /** "" is the default: local, or that of the volume that is there. */
  readonly driver: string;
  readonly options: Readonly<Record<string, string>>;
  readonly labels: Readonly<Record<string, string>>;
  /** An empty volume is filled with what the image has at the destination. */
  readonly copy: boolean;
  /** In the volume; "" for all of it. */
  readonly subpath: string;
}

export interface PlannedTmpfs extends Planned {
  readonly kind: "tmpfs";
  /** Of the mount: "nosuid", "size=1m". */
  readonly options: readonly string[];
}

export interface PlannedImage extends Planned {
  readonly kind: "image";
  /** As the client named it. */
  readonly image: string;
  /** Digest of its config; "" until it has been looked up. */
  readonly imageId: string;
  /** In the image; "" for all of it. */
  readonly subpath: string;
}

/** A mount that the client or the image asked for. */
export type PlannedMount = PlannedBind | PlannedVolume | PlannedTmpfs | PlannedImage;

/** A mount, and where on the host it comes from at this start; "" for tmpfs. */
export interface SourcedMount {
  readonly mount: PlannedMount;
  readonly source: string;
  /** The shim shows it there: the host cannot look at it, and nothing is mounted below it. */
  readonly isView?: boolean;
}

/** "" for what has none. */
export function propagationOf(mount: PlannedMount): string {
  return mount.kind === "bind" ? mount.propagation : "";
}

/**
 * @param isDeep what is read-only covers the mounts below it: the kernel must know mount_setattr (5.12), and the source be a directory, for
 *        crun 1.8 refuses "rro" for a file
 */
export function renderMount({ mount, source }: SourcedMount, isDeep: boolean): OciMount {
  const { destination } = mount;
  if (mount.kind === "tmpfs") return { destination, type: "tmpfs", source: "tmpfs", options: mount.options };
  const recursive = mount.kind !== "bind" || mount.recursive;
  const options = [recursive ? "rbind" : "bind"];
  const top = mount.kind === "bind" && mount.readOnlyDepth === "top";
  if (mount.readOnly) options.push(isDeep && !top ? "rro" : "ro");
  const propagation = propagationOf(mount) || "rprivate";
  // To crun 1.8 the "r" of any propagation is one of the bind as well: see docs/shim-protocol.md, "Views".
  options.push(recursive ? propagation : propagation.replace(/^r/, ""));
  return { destination, type: "bind", source, options };
}

/** Outer mounts before the ones inside them; equal depth keeps the order given. */
export function outerFirst<T>(items: readonly T[], destinationOf: (item: T) => string): readonly T[] {
  const depth = (item: T): number => destinationOf(item).split("/").length;
  return items
    .map((item, order) => ({ item, order }))
    .sort((a, b) => depth(a.item) - depth(b.item) || a.order - b.order)
    .map(({ item }) => item);
}
