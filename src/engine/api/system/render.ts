// GET /info and GET /system/df for older API versions.

import type { SystemInfo } from "../../../spec/docker/system.ts";
import type { DiskUsage } from "../../../spec/docker/disk-usage.ts";

/** VirtualSize went with 1.44. Empty lists of names are null here, where the list of images has []. */
export function renderDiskUsage(usage: DiskUsage, minor: number): unknown {
  const images = usage.Images?.map((image) => {
    const { RepoTags, RepoDigests, Size } = image;
    const orNull = (names: readonly string[] | null | undefined): readonly string[] | null =>
      names === undefined || names === null || names.length === 0 ? null : names;
    const rendered = { ...image, RepoTags: orNull(RepoTags), RepoDigests: orNull(RepoDigests) };
    return minor >= 44 ? rendered : { ...rendered, VirtualSize: Size };
  });
  return { ...usage, Images: images ?? null };
}

/**
 * Gone: BridgeNf* with 1.50, Commit.Expected with 1.49, KernelMemory with 1.42. New: FirewallBackend 1.49, Containerd 1.46,
 * Runtimes' status 1.44, SecurityOptions as `name=…` 1.25.
 */
export function renderInfo(info: SystemInfo, minor: number): unknown {
  if (minor >= 50) return info;
  let older: Record<string, unknown> = { ...info, BridgeNfIptables: false, BridgeNfIp6tables: false };
  if (minor < 49) {
    older = {
      ...older,
      RuncCommit: { ...info.RuncCommit, Expected: info.RuncCommit?.ID ?? "" },
      InitCommit: { ...info.InitCommit, Expected: info.InitCommit?.ID ?? "" },
      FirewallBackend: undefined,
    };
  }
  if (minor < 46) older["Containerd"] = undefined;
  if (minor < 44) older["Runtimes"] = withoutStatus(info.Runtimes);
  if (minor < 42) older["KernelMemory"] = true;
  if (minor < 25)
    older["SecurityOptions"] = info.SecurityOptions?.map((each) => /^name=([^,]*)/.exec(each)?.[1] ?? each);
  return older;
}

function withoutStatus(runtimes: SystemInfo["Runtimes"]): SystemInfo["Runtimes"] {
  if (runtimes === undefined || runtimes === null) return runtimes;
  return Object.fromEntries(
    Object.entries(runtimes).map(([name, { path, runtimeArgs }]) => [name, { path, runtimeArgs }]),
  );
}
