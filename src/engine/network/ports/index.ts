// The face of ports/: which ports of the host lead to which of a container. Reserved here (in memory; the sandboxes' rows are
// the record), bound by the shim so that no program of the host can take them, led to the container by the firewall.

import type { ContainerId } from "../../../base/ids.ts";
import type { PortMap } from "../../../spec/docker/container.ts";

export { createHostPorts } from "./host-ports.ts";
export { complainAboutPorts } from "./parse.ts";
export { renderPortMap, renderPortSummaries } from "./render.ts";

export type PortProtocol = "tcp" | "udp" | "sctp";

/** One port of the host that leads to a container. */
export interface PublishedPort {
  readonly protocol: PortProtocol;
  /** An address of the host; "0.0.0.0" and "::" are all of their family. */
  readonly hostIp: string;
  /** 1–65535 */
  readonly hostPort: number;
  readonly containerPort: number;
}

/** What a container asks for. */
export interface PortRequest {
  readonly containerId: ContainerId;
  /** For the complaint of whoever asks for the same port later. */
  readonly containerName: string;
  /** HostConfig.PortBindings */
  readonly bindings: PortMap;
  /** Keys of Config.ExposedPorts, of the image too: "80/tcp". */
  readonly exposed: readonly string[];
  readonly publishAll: boolean;
  /** Where a binding names no address: the network's com.docker.network.bridge.host_binding_ipv4, the daemon's --ip; "" for all. */
  readonly defaultHostIp: string;
  /** The families that the host can publish: all addresses means 0.0.0.0, or 0.0.0.0 and ::. */
  readonly families: readonly (4 | 6)[];
}

export interface HostPorts {
  /**
   * Chooses and reserves; nothing is bound. What the container had reserved before is given up, unless this throws.
   * A port that was bound is published whether it is exposed or not. Where the shim then finds a chosen port taken by a program of
   * the host, another call chooses the next.
   *
   * @throws Conflict         a port, or all of a range, is another container's: the message names it; nothing was reserved
   * @throws InvalidParameter a range that does not fit, an address that is none
   * @throws Unavailable      no port of the host's ephemeral range is free
   */
  reserve(request: PortRequest): readonly PublishedPort[];
  /** What the store says of a container that runs: at the daemon's start, and with its new name when it is renamed. */
  adopt(containerId: ContainerId, containerName: string, ports: readonly PublishedPort[]): void;
  release(containerId: ContainerId): void;
}
