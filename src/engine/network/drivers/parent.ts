// The device under a macvlan or ipvlan network: one of the host's, a VLAN of one, or a dummy where the network has no parent.
// What setUp makes carries our mark; a VLAN that several networks use is made once and goes with the last of them.

import { EngineError } from "../../../base/errors.ts";
import type { NetworkId } from "../../../base/ids.ts";
import { tryRun } from "../../kernel/run.ts";
import { type Link, readLinks } from "../links.ts";
import type { NetworkRecord } from "../record.ts";
import { hasKind, isLacking, lacking, markOf, ownerOf, runBatch } from "./device.ts";

export type ParentKind = "macvlan" | "ipvlan";

/** dockerd's names of the dummies. */
const dummyPrefix = { macvlan: "dm-", ipvlan: "di-" } as const;

/** The option "parent", or the name of the dummy of a network without one. */
export function parentName(
  kind: ParentKind,
  { id, options }: { readonly id: NetworkId; readonly options: Readonly<Record<string, string>> },
): string {
  const parent = options["parent"] ?? "";
  return parent === "" ? `${dummyPrefix[kind]}${id.slice(0, 12)}` : parent;
}

/**
 * "eth0.10" as device and VLAN.
 *
 * @throws InvalidParameter in dockerd's words
 */
export function parseVlanName(name: string): { readonly base: string; readonly vlan: number } {
  const at = name.lastIndexOf(".");
  const invalid = (text: string): EngineError => new EngineError("InvalidParameter", text);
  if (at <= 0) throw invalid(`invalid subinterface vlan name ${name}, example formatting is eth0.10`);
  const digits = name.slice(at + 1);
  if (!/^\d{1,9}$/.test(digits))
    throw invalid(`unable to parse a valid vlan id from: ${digits} (ex. eth0.10 for vlan 10)`);
  const vlan = Number(digits);
  if (vlan < 1 || vlan > 4094) throw invalid(`vlan id must be between 1-4094, received: ${vlan}`);
  return { base: name.slice(0, at), vlan };
}

interface PlannedParent {
  readonly commands: readonly string[];
  /** What is made; undefined where the parent is there. */
  readonly made: "vlan" | "dummy" | undefined;
}

/**
 * What `ip` must be told so that the network's parent is there. Pure.
 *
 * @throws InvalidParameter it cannot be one
 */
export function planParent(kind: ParentKind, network: NetworkRecord, links: ReadonlyMap<string, Link>): PlannedParent {
  const name = network.interface;
  const link = links.get(name);
  const finish = [`link set dev ${name} alias "${markOf(network.id)}"`, `link set dev ${name} up`];
  if (link?.loopback === true)
    throw new EngineError("InvalidParameter", `loopback interface is not a valid ${kind} parent link`);
  // A VRF takes no frames away from the device as a bridge or a bond does.
  if (link?.master !== undefined && links.get(link.master)?.kind !== "vrf")
    throw new EngineError(
      "InvalidParameter",
      `parent interface ${name} is a port of ${link.master}: the kernel takes it for one or the other`,
    );
  if (link !== undefined)
    return { commands: ownerOf(link) !== undefined && !link.up ? [`link set dev ${name} up`] : [], made: undefined };
  if ((network.options["parent"] ?? "") === "")
    return { commands: [`link add name ${name} type dummy`, ...finish], made: "dummy" };
  const { base, vlan } = parseVlanName(name);
  if (!links.has(base))
    throw new EngineError("InvalidParameter", `-o parent interface was not found on the host: ${base}`);
  return { commands: [`link add link ${base} name ${name} type vlan id ${vlan}`, ...finish], made: "vlan" };
}

const whatNeeds: Readonly<Record<"vlan" | "dummy", (kind: ParentKind) => string>> = {
  vlan: (kind) => `${kind} networks with a VLAN as parent`,
  dummy: (kind) => `${kind} networks without a parent`,
};

/** Parents of the networks of one kind. */
export class Parents {
  readonly #kind: ParentKind;
  /** Networks that are set up, by parent. */
  readonly #users = new Map<string, Map<NetworkId, NetworkRecord>>();
  #kernelHas = false;

  constructor(kind: ParentKind) {
    this.#kind = kind;
  }

  /** @throws InvalidParameter|NotImplemented|System as Driver.setUp; nothing is left of what was begun */
  async setUp(network: NetworkRecord, links: ReadonlyMap<string, Link>): Promise<void> {
    const kind = this.#kind;
    const { commands, made } = planParent(kind, network, links);
    // What is there now may not have been at the last try: only a yes is remembered.
    this.#kernelHas ||= await hasKind(kind);
    if (!this.#kernelHas) throw lacking(`${kind} networks`, kind);
    const [failure] = await runBatch(commands);
    if (failure !== undefined) {
      if (made !== undefined && failure.index > 0) await tryRun(["ip", "link", "del", "dev", network.interface]);
      throw failureOf(kind, network.interface, made, failure.message);
    }
    const users = this.#users.get(network.interface) ?? new Map<NetworkId, NetworkRecord>();
    users.set(network.id, network);
    this.#users.set(network.interface, users);
  }

  async tearDown(network: NetworkRecord): Promise<void> {
    const name = network.interface;
    const users = this.#users.get(name);
    users?.delete(network.id);
    const link = (await readLinks()).find((candidate) => candidate.name === name);
    if (link === undefined || link.alias !== markOf(network.id)) return;
    const [heir] = users?.values() ?? [];
    if (heir === undefined) {
      const { exitCode, stderr } = await tryRun(["ip", "link", "del", "dev", name]);
      if (exitCode !== 0 && !stderr.includes("Cannot find device"))
        throw new EngineError("System", `cannot remove ${name}: ${stderr.trim()}`);
      this.#users.delete(name);
    } else await runBatch([`link set dev ${name} alias "${markOf(heir.id)}"`]);
  }
}

function failureOf(kind: ParentKind, name: string, made: "vlan" | "dummy" | undefined, message: string): EngineError {
  if (made !== undefined && isLacking(message)) return lacking(whatNeeds[made](kind), made);
  const hint = message.includes("Network is down") ? "; set the device under it up first" : "";
  return new EngineError("System", `failed to create ${name} ${made ?? ""} link: ${message}${hint}`);
}

/** F6: what of the parent is not as it should be. Pure. */
export function complainAboutParent(network: NetworkRecord, link: Link | undefined): readonly string[] {
  const name = network.interface;
  if (link === undefined) return [`the parent device ${name} is gone`];
  return link.up ? [] : [`the parent device ${name} is down`];
}
