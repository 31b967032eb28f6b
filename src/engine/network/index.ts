// The face of the network room: the built-in networks, addresses, firewall and the per-container files.
// The interface pair itself is made by the shim in one netlink conversation (runtime/shim.ts); the data is decided here.

import type { ContainerId } from "../../base/ids.ts";
import type { EndpointSettings, HostConfig, NetworkSettings, ContainerConfig } from "../../spec/docker/container.ts";
import type { NetworksPort } from "../api/ports.ts";
import type { ShimNetwork } from "../runtime/shim.ts";
import type { Change } from "../store/index.ts";

/** Where a container will be connected: decided, addresses reserved by the rows in `changes`. */
export interface Connection {
  readonly network: ShimNetwork;
  /** Endpoint rows to insert in the caller's transaction; a Conflict means: call connect again. */
  readonly changes: readonly Change[];
  /** For inspect, keyed by network name ("bridge", "host", "none"). */
  readonly endpoints: Readonly<Record<string, EndpointSettings>>;
  readonly settings: NetworkSettings;
}

export interface NetworkRequest {
  readonly id: ContainerId;
  readonly hostConfig: HostConfig;
  readonly config: ContainerConfig;
  /** Path of the namespace to join for `container:ID`. */
  readonly joined: string | undefined;
}

/** Contents of the three files that each container gets; undefined address for host and none. */
export interface NetworkFiles {
  readonly hosts: string;
  readonly hostname: string;
  readonly resolvConf: string;
}

export interface Networks extends NetworksPort {
  /** Creates or adopts the default bridge, its address and our nft table. Idempotent; called at start-up. */
  setUp(): Promise<void>;
  /** Complaints about the request itself, before any effect. All of them. */
  validate(config: ContainerConfig, hostConfig: HostConfig): readonly string[];
  connect(request: NetworkRequest): Promise<Connection>;
  /** Rows that free the container's addresses. */
  release(id: ContainerId): readonly Change[];
  /** Endpoints as committed, for a container that runs; empty settings where it has none. */
  settings(id: ContainerId, hostConfig: HostConfig): { readonly settings: NetworkSettings };
  /** @param address the container's own address without prefix, where it has one */
  files(request: NetworkRequest, address: string | undefined): Promise<NetworkFiles>;
  /** Address of the host as containers see it, for `host-gateway`. */
  readonly hostGateway: string;
  /** F6, F7, F12 for `system check`. */
  check(
    running: ReadonlySet<ContainerId>,
    options: { readonly repair: boolean },
  ): Promise<
    readonly {
      readonly invariant: string;
      readonly subject: string;
      readonly detail: string;
      readonly repaired: boolean;
    }[]
  >;
}
