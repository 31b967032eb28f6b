// The face of firewall/: two nft tables named gantry (inet for addresses, bridge for frames) that are written in one transaction and
// hold everything of ours. What is per container are elements of sets and maps, so that no rule is walked for it: the shim
// adds and removes those over netlink (no process is spawned), the daemon writes whole tables and what concerns networks.

import type { NetworkId } from "../../../base/ids.ts";
import type { Logger } from "../../../base/log.ts";
import type { PublishedPort } from "../ports/index.ts";

export { createAbsentFirewall } from "./absent.ts";
export { createFirewall } from "./firewall.ts";
export { endpointElements, portElements, renderShimElements } from "./elements.ts";

/** How containers of a network are reached from outside, and what they look like there; as dockerd's gateway modes. */
export type GatewayMode = "nat" | "nat-unprotected" | "routed" | "isolated";

/** A bridge network as the firewall sees it. */
export interface FirewallNetwork {
  readonly id: NetworkId;
  readonly name: string;
  /** The bridge. */
  readonly interface: string;
  readonly subnets: readonly string[];
  /** The bridge's own addresses, without prefix. */
  readonly gateways: readonly string[];
  readonly internal: boolean;
  /** Containers of the network reach each other. */
  readonly icc: boolean;
  readonly masquerade: boolean;
  /** Source address of what leaves instead of the outgoing interface's; "" for that. */
  readonly hostIp4: string;
  readonly hostIp6: string;
  readonly mode4: GatewayMode;
  readonly mode6: GatewayMode;
  /** Frames of a container are dropped unless MAC and addresses are its own. */
  readonly antiSpoofing: boolean;
  /** Names of interfaces from which containers may be reached directly, as nat-unprotected does for all. */
  readonly trustedInterfaces: readonly string[];
  /** In mode nat, published ports are reached at the container's own address too, from everywhere but other networks. */
  readonly directRouting?: boolean;
}

/** A container's place on a bridge network. */
export interface FirewallEndpoint {
  readonly networkId: NetworkId;
  readonly hostInterface: string;
  readonly mac: string;
  /** IPv4 and IPv6, without prefix. The link-local address that goes with the MAC is understood. */
  readonly addresses: readonly string[];
}

/** A published port with the address that it leads to; of the family of `address`. */
export interface FirewallPort extends PublishedPort {
  readonly networkId: NetworkId;
  readonly address: string;
  /**
   * Bridges of the other networks that the container is on: what comes from their members is masqueraded, because the answer would go
   * to them directly and not back through the host.
   */
  readonly otherBridges?: readonly string[];
}

export interface FirewallState {
  readonly networks: readonly FirewallNetwork[];
  readonly endpoints: readonly FirewallEndpoint[];
  readonly ports: readonly FirewallPort[];
}

/** A value of a key or of data: what nft calls it, and its bytes as the kernel has them (padded to registers of 4). */
export interface ElementField {
  readonly text: string;
  readonly bytes: Uint8Array;
}

/** An element of a set or map of ours; as text for nft, as bytes for the shim. */
export interface FirewallElement {
  readonly family: "inet" | "bridge";
  /** Name of the set or map. */
  readonly set: string;
  readonly key: readonly ElementField[];
  /** Of a map; absent for a set. */
  readonly data?: readonly ElementField[];
}

export interface Firewall {
  /** Replaces both tables by what `state` says, atomically. Also mends whatever anybody did to them. */
  replace(): Promise<void>;
  /** A network was added to the state, or is about to be removed from it: its rules, in one transaction. */
  addNetwork(network: FirewallNetwork): Promise<void>;
  removeNetwork(network: FirewallNetwork): Promise<void>;
  /** Somebody changed nft rules: looks whether ours are as they should be, and writes them again where not. Debounced. */
  rulesChanged(): void;
  /** The tables as nft lists them, each rule with its comment; `gantry network rules`. */
  list(): Promise<string>;
  /** F7: whether the tables are what was written, elements included; empty is health. */
  check(): Promise<readonly string[]>;
  /** What tables of others do to containers' packets and the engine leaves alone; advice, no violation. */
  advise(): Promise<readonly string[]>;
  close(): Promise<void>;
}

export interface FirewallDeps {
  /** What the tables must hold now; asked at each replacement and check. */
  state(): FirewallState;
  readonly logger: Logger;
}
