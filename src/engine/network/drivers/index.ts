// The face of drivers/: what kinds of networks do on the host, and what a container gets of them. Pure decisions (validate,
// interfaceOf, firewallOf) apart from effects (setUp, tearDown). suite.ts is what every driver must do.

import type { ShimInterface } from "../../runtime/shim.ts";
import type { FirewallNetwork } from "../firewall/index.ts";
import type { Endpoint, NetworkRecord } from "../record.ts";

export { createDrivers } from "./drivers.ts";

/** A network that somebody wants, before its subnets are chosen. */
export type NetworkDraft = Omit<NetworkRecord, "subnets" | "interface" | "created">;

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
   * Makes the host as the network needs it. Idempotent: called for each network at start and by `system check --repair`.
   *
   * @throws InvalidParameter a parent that is not there, a device of that name that is something else
   * @throws NotImplemented   what the kernel lacks, by name: "ipvlan: the running kernel has no ipvlan (CONFIG_IPVLAN)"
   */
  setUp(network: NetworkRecord): Promise<void>;
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
  /** F6: what of the network is not on the host as it should be: sentences. */
  check(network: NetworkRecord): Promise<readonly string[]>;
}
