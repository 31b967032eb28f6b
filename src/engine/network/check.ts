// F6, F7, F12 and F18 of the invariants: devices ⇔ networks and endpoints, the firewall as it was written, addresses ⇔ endpoints ⇔
// running containers, no intent that nobody carries out. Source: docs/durability.md.

import type { ContainerId } from "../../base/ids.ts";
import { tryRun } from "../kernel/run.ts";
import { findStaleDevices, removeDevice } from "./drivers/index.ts";
import { networkOp, settleNetworkOps } from "./journal.ts";
import { type Link, readLinks } from "./links.ts";
import type { Endpoint, NetworkRecord } from "./record.ts";
import { releaseContainer } from "./release.ts";
import type { NetworkRoom } from "./room.ts";
import { arrangeHost } from "./set-up.ts";

export interface NetworkFinding {
  readonly invariant: string;
  readonly subject: string;
  readonly detail: string;
  readonly repaired: boolean;
}

/** F18: a network whose making or removal failed in a way that could not be undone. */
async function checkJournal(room: NetworkRoom, repair: boolean): Promise<readonly NetworkFinding[]> {
  // While this is held nobody makes or removes one.
  using _held = await room.changing.lock("networks");
  const open = (await room.deps.store.load("ops")).filter(({ kind }) => kind === networkOp);
  if (repair) await settleNetworkOps(room, open);
  const settled = repair ? new Set((await room.deps.store.load("ops")).map(({ id }) => id)) : undefined;
  return open.map(({ id, subject }) => ({
    invariant: "F18",
    subject,
    detail: "the network was begun to be made or removed, and that was never finished",
    repaired: settled !== undefined && !settled.has(id),
  }));
}

/** A start that is under way has its endpoints before its container runs. */
const underWayMs = 10_000;

/** Endpoints of running containers whose host end is gone, or is a port of another bridge. Pure. */
export function compareLinks(
  links: readonly Link[],
  endpoints: readonly Endpoint[],
  bridgeOf: (endpoint: Endpoint) => string,
): { readonly missing: readonly Endpoint[]; readonly astray: readonly Endpoint[] } {
  const byName = new Map(links.map((link) => [link.name, link]));
  const own = endpoints.filter(({ hostInterface }) => hostInterface !== "");
  return {
    missing: own.filter(({ hostInterface }) => !byName.has(hostInterface)),
    astray: own.filter((endpoint) => {
      const link = byName.get(endpoint.hostInterface);
      return link !== undefined && link.master !== bridgeOf(endpoint);
    }),
  };
}

async function checkLinks(
  room: NetworkRoom,
  running: ReadonlySet<ContainerId>,
  repair: boolean,
): Promise<readonly NetworkFinding[]> {
  const findings: NetworkFinding[] = [];
  const add = (subject: string, detail: string, repaired: boolean): void => {
    findings.push({ invariant: "F6", subject, detail, repaired });
  };
  const networks = [...room.records.values()].filter(({ configOnly }) => !configOnly);
  // What was there before the links were read: a start in between must not look like one that lost its interface.
  const before = [...room.endpoints.values()].filter(({ containerId }) => running.has(containerId));
  const links = await readLinks();
  const wrong = await wrongDevices(room, networks, links);
  if (repair && wrong.length > 0) await arrangeHost(room);
  for (const { network, detail } of wrong) add(network.interface || network.name, detail, repair);
  const isThere = ({ id }: Endpoint): boolean => room.endpoints.has(id);
  const bridgeOf = ({ networkId }: Endpoint): string => room.records.get(networkId)?.interface ?? "";
  const { missing, astray } = compareLinks(links, before, bridgeOf);
  const hostInterfaces = new Set([...room.endpoints.values()].map(({ hostInterface }) => hostInterface));
  for (const link of findStaleDevices(links, [...room.records.values()], hostInterfaces)) {
    const what = link.name.startsWith("gveth") ? "interface of no container" : "device of no network";
    add(link.name, what, repair && (await removeDevice(link.name)));
  }
  for (const endpoint of astray.filter(isThere)) {
    const argv = ["ip", "link", "set", "dev", endpoint.hostInterface, "master", bridgeOf(endpoint)];
    const done = repair && (await tryRun(argv)).exitCode === 0;
    add(endpoint.containerId, `its interface ${endpoint.hostInterface} is not on ${bridgeOf(endpoint)}`, done);
  }
  for (const endpoint of missing.filter(isThere))
    add(endpoint.containerId, `its interface ${endpoint.hostInterface} is gone; restart the container`, false);
  return findings;
}

async function wrongDevices(
  room: NetworkRoom,
  networks: readonly NetworkRecord[],
  links: readonly Link[],
): Promise<readonly { readonly network: NetworkRecord; readonly detail: string }[]> {
  const found = await Promise.all(
    networks.map(async (network) => {
      const details = await room.driverOf(network).check(network, links);
      return room.records.has(network.id) ? details.map((detail) => ({ network, detail })) : [];
    }),
  );
  return found.flat();
}

async function checkRules(room: NetworkRoom, repair: boolean): Promise<readonly NetworkFinding[]> {
  const details = await room.parts.firewall.check();
  if (repair && details.length > 0) await room.parts.firewall.replace();
  return details.map((detail) => ({ invariant: "F7", subject: "nft tables gantry", detail, repaired: repair }));
}

async function checkAddresses(
  room: NetworkRoom,
  running: ReadonlySet<ContainerId>,
  repair: boolean,
): Promise<readonly NetworkFinding[]> {
  const { store } = room.deps;
  const known = new Set(room.endpoints.keys());
  const rows = await store.load("endpoints");
  const findings: NetworkFinding[] = [];
  const add = (subject: string, detail: string): void => {
    findings.push({ invariant: "F12", subject, detail, repaired: repair });
  };
  for (const row of rows.filter(({ id }) => !known.has(id) && !room.endpoints.has(id))) {
    if (repair) await store.commit([{ delete: "endpoints", key: row.id }]);
    add(row.container_id, `address ${row.ip ?? row.ip6 ?? ""} is held by an endpoint that nobody knows`);
  }
  const now = performance.now();
  for (const endpoint of room.endpoints.values()) {
    const { id, containerId, ip, ip6 } = endpoint;
    const madeAt = room.madeAt.get(id);
    if (running.has(containerId) || (madeAt !== undefined && now - madeAt < underWayMs)) continue;
    if (room.deps.users.get(containerId) !== undefined) continue;
    if (repair) await store.commit(releaseContainer(room, containerId));
    add(containerId, `address ${ip || ip6} is held by a container that does not run`);
  }
  return findings;
}

/** @returns one finding per violation; empty is health */
export async function checkNetworks(
  room: NetworkRoom,
  running: ReadonlySet<ContainerId>,
  repair: boolean,
): Promise<readonly NetworkFinding[]> {
  return [
    ...(await checkLinks(room, running, repair)),
    ...(await checkRules(room, repair)),
    ...(await checkAddresses(room, running, repair)),
    ...(await checkJournal(room, repair)),
  ];
}
