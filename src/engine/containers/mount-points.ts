// The mount points of a container as inspect and list show them, out of Binds and Mounts; Tmpfs is not among them.

import type { HostConfig, MountPoint } from "../../spec/docker/container.ts";
import { planMounts } from "../runtime/index.ts";

/** By destination. What cannot be read as a mount was refused before, and is none. */
export function mountPointsOf(hostConfig: HostConfig): readonly MountPoint[] {
  return planMounts(hostConfig, true)
    .mounts.filter(({ origin }) => origin !== "Tmpfs")
    .map(
      ({ kind, origin, source, destination, mode, readOnly, propagation }): MountPoint => ({
        Type: kind,
        Source: source,
        Destination: destination,
        Mode: origin === "Binds" ? mode : "",
        RW: !readOnly,
        Propagation: kind === "bind" ? propagation || "rprivate" : "",
      }),
    )
    .sort((a, b) => ((a.Destination ?? "") < (b.Destination ?? "") ? -1 : 1));
}
