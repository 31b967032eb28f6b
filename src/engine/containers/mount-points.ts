// The mount points of a container as inspect and list show them, out of Binds and Mounts; Tmpfs is not among them.

import type { HostConfig, MountPoint } from "../../spec/docker/container.ts";

const propagations = ["private", "rprivate", "shared", "rshared", "slave", "rslave"] as const;

type Propagation = (typeof propagations)[number];

/** By destination. The request was validated: what cannot be read as a bind is none. */
export function mountPointsOf(hostConfig: HostConfig): readonly MountPoint[] {
  const binds = (hostConfig.Binds ?? []).map((text): MountPoint => {
    const [source = "", destination = "", mode = ""] = text.split(":");
    const words = mode.split(",");
    return bindPoint(
      source,
      destination,
      mode,
      !words.includes("ro"),
      propagations.find((word) => words.includes(word)),
    );
  });
  const mounts = (hostConfig.Mounts ?? []).map((mount): MountPoint => {
    const { Type, Source = "", Target = "", ReadOnly = false, BindOptions } = mount;
    if (Type === "bind") return bindPoint(Source, Target, "", !ReadOnly, BindOptions?.Propagation);
    return { Type: Type ?? "tmpfs", Source: "", Destination: clean(Target), Mode: "", RW: !ReadOnly, Propagation: "" };
  });
  return [...binds, ...mounts].sort((a, b) => ((a.Destination ?? "") < (b.Destination ?? "") ? -1 : 1));
}

function bindPoint(
  source: string,
  destination: string,
  mode: string,
  writable: boolean,
  propagation?: Propagation,
): MountPoint {
  return {
    Type: "bind",
    Source: clean(source),
    Destination: clean(destination),
    Mode: mode,
    RW: writable,
    Propagation: propagation || "rprivate",
  };
}

function clean(path: string): string {
  return path.replace(/\/+/g, "/").replace(/(.)\/$/, "$1");
}
