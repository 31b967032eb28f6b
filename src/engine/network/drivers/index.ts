// The face of drivers/: what kinds of networks do on the host, and what a container gets of them. Pure decisions (validate,
// interfaceOf, firewallOf) apart from effects (setUp, tearDown). suite.ts is what every driver must do.

import type { EngineError } from "../../../base/errors.ts";
import type { NetworkId } from "../../../base/ids.ts";
import type { ShimInterface } from "../../runtime/shim.ts";
import type { FirewallNetwork } from "../firewall/index.ts";
import type { Link } from "../links.ts";
import type { DriverName, Endpoint, NetworkRecord } from "../record.ts";

export { defaultBridge } from "./bridge.ts";
export { createDrivers } from "./drivers.ts";
export { complainAboutEndpointOptions } from "./endpoint-options.ts";
export { findStaleDevices, removeDevice } from "./stale.ts";

/** A network that somebody wants, before its subnets are chosen. */
export type NetworkDraft = Omit<NetworkRecord, "subnets" | "interface" | "created">;

export type Drivers = Readonly<Record<DriverName, Driver>>;

export interface Driver {
  /** Whether containers get a namespace of their own with an interface, the host's, or one with nothing in it. */
  readonly joins: "own" | "host" | "none";
  /** Whether a user may create networks of it: not for host and null. */
  readonly creatable: boolean;
  /** Whether a network of it has addresses that ipam/ gives out, and whether one of them is a gateway on the host. */
  ipamOf(draft: NetworkDraft): { readonly addresses: boolean; readonly gateway: boolean };
  /** Everything that is wrong with the options, in dockerd's words; unknown keys pass, as in dockerd. Pure. */
  validate(draft: NetworkDraft, others: readonly NetworkRecord[]): readonly string[];
  /** Name of the host's device for a new network; "" for none. Pure. */
  interfaceName(draft: NetworkDraft): string;
  /**
   * How packets for elsewhere leave an endpoint that has the default route: through the subnet's gateway, or straight out of the
   * interface (ipvlan l3 and l3s: `via` is ""). Pure; whether the network gives a default route at all is decided elsewhere.
   */
  defaultRoute(network: NetworkRecord): "gateway" | "interface";
  /** How many containers may run on it at once: 1 for macvlan passthru, otherwise Infinity. Pure. */
  capacity(network: NetworkRecord): number;
  /**
   * Makes the host as the network needs it. Idempotent: called for each new network and by `system check --repair`.
   *
   * @throws InvalidParameter a parent that is not there, a device of that name that is something else
   * @throws NotImplemented   what the kernel lacks, by name: "ipvlan: the running kernel has no ipvlan (CONFIG_IPVLAN)"
   */
  setUp(network: NetworkRecord): Promise<void>;
  /**
   * The same for many networks of this driver, with as few processes as possible; for the start of the daemon.
   *
   * @returns what went wrong, by network: the others are set up
   * @throws System the host's links cannot be read
   */
  setUpAll(networks: readonly NetworkRecord[]): Promise<ReadonlyMap<NetworkId, EngineError>>;
  /** Takes away what setUp made, and nothing else. Idempotent. */
  tearDown(network: NetworkRecord): Promise<void>;
  /** The interface of an endpoint as the shim makes it; undefined for host and null. Pure. */
  interfaceOf(
    network: NetworkRecord,
    endpoint: Endpoint,
    driverOptions: Readonly<Record<string, string>>,
  ): ShimInterface | undefined;
  /** undefined where frames do not pass the host's rules. Pure. */
  firewallOf(network: NetworkRecord): FirewallNetwork | undefined;
  /** F6: what of the network is not on the host as it should be: sentences. `links` spares a run of `ip` per network. */
  check(network: NetworkRecord, links?: readonly Link[]): Promise<readonly string[]>;
}
