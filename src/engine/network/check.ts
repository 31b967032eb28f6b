// F6, F7 and F12 of the invariants: links ⇔ endpoints, our nft table as we wrote it, addresses ⇔ endpoints ⇔ running
// containers. Source: docs/durability.md.

import type { ContainerId } from "../../base/ids.ts";
import { tryRun } from "../kernel/run.ts";
import type { Change, Store } from "../store/index.ts";
import { isBridgeWhole } from "./bridge.ts";
import { type FirewallBridge, hashTable } from "./firewall.ts";
import { type Link, readLinks } from "./links.ts";
import type { Endpoint } from "./record.ts";

export interface NetworkFinding {
  readonly invariant: string;
  readonly subject: string;
  readonly detail: string;
  readonly repaired: boolean;
}

export interface NetworkState {
  readonly bridge: { readonly interface: string; readonly subnet: string; readonly gateway: string } | undefined;
  readonly bridges: readonly FirewallBridge[];
  /** As they are now. */
  endpoints(): readonly Endpoint[];
  readonly running: ReadonlySet<ContainerId>;
  /** Containers whose start is under way: neither their links nor their endpoints are judged. */
  readonly starting: ReadonlySet<ContainerId>;
  readonly tableHash: string;
  readonly store: Pick<Store, "load" | "commit">;
  readonly repair: boolean;
  /** Sets bridge and table up anew. */
  mend(): Promise<void>;
  release(id: ContainerId): readonly Change[];
}

const ours = /^gveth[0-9a-f]{10}$/;

/** Host ends of ours that no endpoint has, and endpoints of running containers without theirs. Pure. */
export function compareLinks(
  links: readonly Link[],
  endpoints: readonly Endpoint[],
  running: ReadonlySet<ContainerId>,
  bridge: string,
): { readonly stale: readonly Link[]; readonly missing: readonly Endpoint[]; readonly astray: readonly Endpoint[] } {
  const byName = new Map(links.map((link) => [link.name, link]));
  const known = new Set(endpoints.map((endpoint) => endpoint.hostInterface));
  const live = endpoints.filter((endpoint) => running.has(endpoint.containerId));
  return {
    stale: links.filter((link) => ours.test(link.name) && !known.has(link.name)),
    missing: live.filter((endpoint) => !byName.has(endpoint.hostInterface)),
    astray: live.filter((endpoint) => {
      const link = byName.get(endpoint.hostInterface);
      return link !== undefined && link.master !== bridge;
    }),
  };
}

async function checkLinks(state: NetworkState): Promise<readonly NetworkFinding[]> {
  const { bridge, repair } = state;
  if (bridge === undefined) return [];
  const links = await readLinks();
  const findings: NetworkFinding[] = [];
  const add = (subject: string, detail: string, repaired: boolean): void => {
    findings.push({ invariant: "F6", subject, detail, repaired });
  };
  if (
    !isBridgeWhole(
      bridge,
      links.find((link) => link.name === bridge.interface),
    )
  ) {
    if (repair) await state.mend();
    add(bridge.interface, `the bridge is not up with ${bridge.gateway}`, repair);
  }
  const { stale, missing, astray } = compareLinks(links, state.endpoints(), state.running, bridge.interface);
  for (const link of stale) {
    const done = repair && (await tryRun(["ip", "link", "del", "dev", link.name])).exitCode === 0;
    add(link.name, "interface of no container", done);
  }
  for (const endpoint of astray) {
    const argv = ["ip", "link", "set", "dev", endpoint.hostInterface, "master", bridge.interface];
    const done = repair && (await tryRun(argv)).exitCode === 0;
    add(endpoint.containerId, `its interface ${endpoint.hostInterface} is not on ${bridge.interface}`, done);
  }
  for (const endpoint of missing)
    add(endpoint.containerId, `its interface ${endpoint.hostInterface} is gone; restart the container`, false);
  return findings;
}

async function checkTable(state: NetworkState): Promise<readonly NetworkFinding[]> {
  if (state.bridges.length === 0 || (await hashTable()) === state.tableHash) return [];
  if (state.repair) await state.mend();
  const detail = "the rules are not as the engine wrote them";
  return [{ invariant: "F7", subject: "nft table inet gantry", detail, repaired: state.repair }];
}

async function checkAddresses(state: NetworkState): Promise<readonly NetworkFinding[]> {
  const rows = await state.store.load("endpoints");
  const findings: NetworkFinding[] = [];
  const endpoints = state.endpoints();
  const known = new Set(endpoints.map((endpoint) => endpoint.id));
  for (const row of rows.filter(({ id }) => !known.has(id))) {
    if (state.repair) await state.store.commit([{ delete: "endpoints", key: row.id }]);
    const detail = `address ${row.ip ?? row.ip6 ?? ""} is held by an endpoint that nobody knows`;
    findings.push({ invariant: "F12", subject: row.container_id, detail, repaired: state.repair });
  }
  for (const endpoint of endpoints) {
    if (state.running.has(endpoint.containerId) || state.starting.has(endpoint.containerId)) continue;
    if (state.repair) await state.store.commit(state.release(endpoint.containerId));
    const detail = `address ${endpoint.ip} is held by a container that does not run`;
    findings.push({ invariant: "F12", subject: endpoint.containerId, detail, repaired: state.repair });
  }
  return findings;
}

/** @returns one finding per violation; empty is health */
export async function checkNetworks(state: NetworkState): Promise<readonly NetworkFinding[]> {
  const [links, table, addresses] = [await checkLinks(state), await checkTable(state), await checkAddresses(state)];
  return [...links, ...table, ...addresses];
}
