// What macvlan and ipvlan have in common, and macvlan: interfaces of containers that are the parent device's own, past the host's
// bridge and its rules. The host itself cannot reach them through the parent.

import { EngineError, isEngineError, messageOf } from "../../../base/errors.ts";
import type { NetworkId } from "../../../base/ids.ts";
import { type Link, readLink, readLinks } from "../links.ts";
import type { NetworkRecord } from "../record.ts";
import { addressesOf } from "./addresses.ts";
import { endpointSysctls } from "./endpoint-options.ts";
import type { Driver } from "./index.ts";
import { isDeviceName, type Options } from "./options.ts";
import { complainAboutParent, type ParentKind, parentName, Parents } from "./parent.ts";

/** An option of a fixed set of words, the first being the default; dockerd takes "" for the default. */
export function wordOf(options: Options, key: string, words: readonly string[]): string | undefined {
  const text = options[key] ?? "";
  return text === "" ? words[0] : words.find((word) => word === text);
}

/** What differs between the two. */
export interface ParentDriverKind {
  readonly kind: ParentKind;
  /** Whether a gateway address belongs to a subnet. */
  hasGateway(options: Options): boolean;
  complaints(
    draft: { readonly id: NetworkId; readonly options: Options },
    /** Networks of this driver on the same parent. */
    neighbours: readonly NetworkRecord[],
    parent: string,
  ): readonly string[];
  mode(options: Options): string;
  flag(options: Options): string;
  capacity(options: Options): number;
}

function asEngineError(error: unknown): EngineError {
  return isEngineError(error) ? error : new EngineError("System", messageOf(error), { cause: error });
}

export function createParentDriver(what: ParentDriverKind): Driver {
  const { kind } = what;
  const parents = new Parents(kind);
  const byName = (links: readonly Link[]): ReadonlyMap<string, Link> => new Map(links.map((link) => [link.name, link]));
  return {
    joins: "own",
    creatable: true,
    ipamOf: ({ internal, options }) => ({ addresses: true, gateway: !internal && what.hasGateway(options) }),
    validate: (draft, others) => {
      const parent = parentName(kind, draft);
      const neighbours = others.filter(
        (other) => other.driver === kind && other.interface === parent && other.id !== draft.id,
      );
      const name = isDeviceName(parent) ? [] : [`invalid parent interface name ${JSON.stringify(parent)}`];
      return [...name, ...what.complaints(draft, neighbours, parent)];
    },
    interfaceName: (draft) => parentName(kind, draft),
    defaultRoute: ({ options }) => (what.hasGateway(options) ? "gateway" : "interface"),
    capacity: ({ options }) => what.capacity(options),
    setUp: async (network) => parents.setUp(network, byName(await readLinks())),
    setUpAll: async (networks) => {
      const failures = new Map<NetworkId, EngineError>();
      if (networks.length === 0) return failures;
      const links = new Map(byName(await readLinks()));
      for (const network of networks) {
        try {
          await parents.setUp(network, links);
          if (!links.has(network.interface)) {
            const made = await readLink(network.interface);
            if (made !== undefined) links.set(made.name, made);
          }
        } catch (error) {
          failures.set(network.id, asEngineError(error));
        }
      }
      return failures;
    },
    tearDown: (network) => parents.tearDown(network),
    interfaceOf: (network, endpoint, driverOptions) => ({
      kind,
      hostInterface: "",
      parent: network.interface,
      mode: what.mode(network.options),
      flag: what.flag(network.options),
      name: endpoint.interface,
      mac: endpoint.mac,
      addresses: addressesOf(endpoint),
      mtu: 0,
      sysctls: endpointSysctls(driverOptions, endpoint.interface),
    }),
    firewallOf: () => undefined,
    check: async (network, links) =>
      complainAboutParent(
        network,
        links === undefined
          ? await readLink(network.interface)
          : links.find((candidate) => candidate.name === network.interface),
      ),
  };
}

const modes = ["bridge", "private", "vepa", "passthru"] as const;
const modeOf = (options: Options): string => wordOf(options, "macvlan_mode", modes) ?? modes[0];

export function createMacvlanDriver(): Driver {
  return createParentDriver({
    kind: "macvlan",
    hasGateway: () => true,
    complaints: ({ options }, neighbours, parent) => {
      if (wordOf(options, "macvlan_mode", modes) === undefined)
        return [
          `requested macvlan mode '${options["macvlan_mode"] ?? ""}' is not valid, 'bridge' mode is the macvlan driver default`,
        ];
      const [neighbour] = neighbours;
      if (neighbour === undefined) return [];
      if (modeOf(options) === "passthru")
        return [
          `cannot use mode passthru, macvlan network ${neighbour.id} is already using parent interface ${parent}`,
        ];
      const passing = neighbours.find((other) => modeOf(other.options) === "passthru");
      return passing === undefined
        ? []
        : [`macvlan network ${passing.id} is already using parent interface ${parent} in mode passthru`];
    },
    mode: modeOf,
    flag: () => "",
    capacity: (options) => (modeOf(options) === "passthru" ? 1 : Number.POSITIVE_INFINITY),
  });
}
