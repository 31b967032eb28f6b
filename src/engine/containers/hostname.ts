// The host name that a container gets, decided at create as dockerd does.

import { hostname } from "node:os";
import { type ContainerId, shortId } from "../../base/ids.ts";
import type { HostConfig } from "../../spec/docker/container.ts";

/** The one asked for; the host's own on the host's network; else the short id, which a container in the host's UTS namespace never sees. */
export function hostnameOf(id: ContainerId, asked: string | undefined, hostConfig: HostConfig): string {
  if (asked !== undefined && asked !== "") return asked;
  return hostConfig.NetworkMode === "host" ? hostname() : shortId(id);
}
