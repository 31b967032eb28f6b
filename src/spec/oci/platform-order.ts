// Which image of an index runs on a platform: containerd's matching, with its order of fallbacks (arm v8 → v7 → v6 → v5,
// amd64 v4 → v3 → v2 → v1 → 386, arm64 → arm). Source: containerd/platforms, compare.go and defaults, seen at dockerd 28.5.

import type { Platform } from "./image.ts";
import { type WantedPlatform, hostArchitecture } from "./platform.ts";

/** With Go's names; `variant` "" where the architecture has none, or its usual one (amd64 v1, arm64 v8). */
export interface ExactPlatform {
  readonly os: string;
  readonly architecture: string;
  readonly variant: string;
}

const architectures: Readonly<Record<string, string>> = {
  x86_64: "amd64",
  "x86-64": "amd64",
  aarch64: "arm64",
  i386: "386",
  i486: "386",
  i586: "386",
  i686: "386",
};

function normalize(platform: Pick<Platform, "os" | "architecture" | "variant">): ExactPlatform {
  const name = platform.architecture.toLowerCase();
  let variant = (platform.variant ?? "").toLowerCase();
  let architecture = architectures[name] ?? name;
  if (name === "armhf") [architecture, variant] = ["arm", "v7"];
  else if (name === "armel") [architecture, variant] = ["arm", "v6"];
  else if (architecture === "arm") variant = /^\d$/.test(variant) ? `v${variant}` : variant === "" ? "v7" : variant;
  else if (architecture === "arm64" && (variant === "8" || variant === "v8" || variant === "v8.0")) variant = "";
  else if (architecture === "amd64" && variant === "v1") variant = "";
  return { os: platform.os.toLowerCase(), architecture, variant };
}

/** What is asked for, with this host's own where nothing is. */
export function completePlatform(wanted: WantedPlatform | undefined): ExactPlatform {
  const { os = "linux", architecture = "", variant = "" } = wanted ?? {};
  return normalize({ os, architecture: architecture === "" ? hostArchitecture() : architecture, variant });
}

/** The platform and those that it can stand in for, best first. */
export function platformOrder({ os, architecture, variant }: ExactPlatform): readonly ExactPlatform[] {
  const down = (arch: string, from: number, to: number): ExactPlatform[] => {
    const steps: ExactPlatform[] = [];
    for (let n = from; n >= to; n--) steps.push(normalize({ os, architecture: arch, variant: `v${n}` }));
    return steps;
  };
  const own = { os, architecture, variant };
  const level = Number(/^v([1-9])(?:\.\d+)?$/.exec(variant)?.[1] ?? 0);
  switch (architecture) {
    case "amd64":
      return [own, ...down("amd64", level - 1, 1), normalize({ os, architecture: "386" })];
    case "arm":
      return [own, ...down("arm", level - 1, 5)];
    case "arm64":
      return [own, ...(variant === "" ? [] : down("arm64", 8, 8)), ...down("arm", 8, 5)];
    default:
      return [own];
  }
}

/**
 * The best of several, the first of equals; entries that name no platform fit last.
 *
 * @returns undefined when none runs there
 */
export function bestOf<T extends { readonly platform?: Platform | undefined }>(
  candidates: readonly T[],
  wanted: ExactPlatform,
): T | undefined {
  for (const acceptable of platformOrder(wanted)) {
    const found = candidates.find(({ platform }) => {
      if (platform === undefined) return false;
      const { os, architecture, variant } = normalize(platform);
      return os === acceptable.os && architecture === acceptable.architecture && variant === acceptable.variant;
    });
    if (found !== undefined) return found;
  }
  return candidates.find(({ platform }) => platform === undefined);
}
