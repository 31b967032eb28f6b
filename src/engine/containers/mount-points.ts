// The mount points of a container as inspect and list show them; those of HostConfig.Tmpfs are not among them. Pure.
// Source: behaviour of dockerd 28.5.

import type { MountPoint } from "../../spec/docker/container.ts";
import type { PlannedMount } from "../runtime/index.ts";

/** What an image mount and a volume are shown with. */
export interface MountPlaces {
  /** Of a volume on the host; "" where it is not known before it is mounted. */
  volume(name: string): string;
  /** Of an image, by its place among all mounts. */
  image(index: number): string;
}

/** By destination. */
export function mountPointsOf(mounts: readonly PlannedMount[], places: MountPlaces): readonly MountPoint[] {
  return mounts
    .map((mount, index) => ({ mount, index }))
    .filter(({ mount }) => mount.origin !== "Tmpfs")
    .map(({ mount, index }): MountPoint => {
      const { destination: Destination, readOnly } = mount;
      const rest = { Destination, Mode: modeOf(mount), RW: !readOnly };
      switch (mount.kind) {
        case "bind":
          return { Type: "bind", Source: mount.source, ...rest, Propagation: mount.propagation || "rprivate" };
        case "tmpfs":
          return { Type: "tmpfs", Source: "", ...rest, Propagation: "" };
        case "image":
          return { Type: "image", Name: mount.image, Source: places.image(index), ...rest, Propagation: "rprivate" };
        case "volume": {
          const { name: Name, driver: Driver } = mount;
          return {
            Type: "volume",
            Name,
            Source: places.volume(Name),
            Destination,
            Driver,
            Mode: rest.Mode,
            RW: rest.RW,
            Propagation: "",
          };
        }
      }
    })
    .sort((a, b) => ((a.Destination ?? "") < (b.Destination ?? "") ? -1 : 1));
}

/** A local volume that somebody asked for is shown as shared, whether the host has labels or not. */
function modeOf(mount: PlannedMount): string {
  const { origin, mode } = mount;
  if (mount.kind === "volume" && mode === "" && mount.driver === "local" && (origin === "Binds" || origin === "Mounts"))
    return "z";
  return origin === "Binds" ? mode : "";
}
