// The start: records and endpoints of the store, the built-in networks, the host as all networks need it. A network whose set-up
// fails is named in the log and refuses containers; the others go on.

import { messageOf } from "../../base/errors.ts";
import { newNetworkId } from "../../base/ids.ts";
import { nowRfc3339Nano } from "../../base/time.ts";
import type { Change } from "../store/index.ts";
import { planDefaultBridge } from "./default-bridge.ts";
import { settleNetworkOps } from "./journal.ts";
import {
  type DriverName,
  type NetworkRecord,
  parseEndpointRow,
  parseNetworkRow,
  parseSandboxRow,
  plainNetwork,
  renderNetworkRow,
} from "./record.ts";
import type { NetworkRoom } from "./room.ts";

const builtIn = [
  { name: "none", driver: "null" },
  { name: "host", driver: "host" },
  { name: "bridge", driver: "bridge" },
] as const;

/** @throws what cannot be set up of the default bridge; System: nft is missing or refuses the rules */
export async function setUpNetworks(room: NetworkRoom): Promise<void> {
  const { store, logger, config } = room.deps;
  const changes = await loadRecords(room);
  await settleNetworkOps(room, await store.load("ops"));
  const bridge = [...room.records.values()].find(({ name }) => name === "bridge");
  if (bridge !== undefined) {
    const planned = await planDefaultBridge(room, bridge);
    room.records.set(planned.id, planned);
    if (renderNetworkRow(planned).doc !== renderNetworkRow(bridge).doc)
      changes.push({ put: "networks", row: renderNetworkRow(planned) });
  }
  adoptAddresses(room);
  if (changes.length > 0) await store.commit(changes);
  await arrangeHost(room);
  const now = bridge === undefined ? undefined : room.records.get(bridge.id);
  if (now === undefined) return;
  const problem = room.broken.get(now.id);
  if (problem !== undefined && config.bridge !== "none") throw problem;
  logger.info("default bridge is up", { bridge: now.interface, subnet: now.subnets[0]?.subnet ?? "" });
}

async function loadRecords(room: NetworkRoom): Promise<Change[]> {
  const { store, config, logger } = room.deps;
  const [rows, endpointRows, sandboxRows] = await Promise.all([
    store.load("networks"),
    store.load("endpoints"),
    store.load("sandboxes"),
  ]);
  const changes: Change[] = [];
  const known = new Map<string, NetworkRecord>();
  for (const row of rows) {
    try {
      known.set(row.name, parseNetworkRow(row));
    } catch (error) {
      logger.error("a network's record is left out", { network: row.name, error: messageOf(error) });
    }
  }
  for (const { name, driver } of builtIn) {
    if (known.has(name) || rows.some((row) => row.name === name)) continue;
    const record: NetworkRecord = {
      ...plainNetwork,
      id: newNetworkId(),
      name,
      driver: driver satisfies DriverName,
      created: nowRfc3339Nano(),
    };
    known.set(name, record);
    changes.push({ insert: "networks", row: renderNetworkRow(record) });
  }
  // Without a bridge network there is none to see; its row stays for another start.
  if (config.bridge === "none") known.delete("bridge");
  for (const record of known.values()) room.records.set(record.id, record);
  for (const endpoint of endpointRows.map(parseEndpointRow)) room.setEndpoint(endpoint);
  for (const sandbox of sandboxRows.map(parseSandboxRow)) room.sandboxes.set(sandbox.containerId, sandbox);
  return changes;
}

function adoptAddresses(room: NetworkRoom): void {
  const { ipam } = room.parts;
  for (const record of room.records.values()) if (!record.configOnly) ipam.adopt(record);
  for (const { networkId, ip, ip6 } of room.endpoints.values()) {
    if (!room.records.has(networkId)) continue;
    for (const address of [ip, ip6]) if (address !== "") ipam.adoptAddress(networkId, address);
  }
}

/** Devices of all networks, then the firewall as a whole. Idempotent; also what `system check --repair` does. */
export async function arrangeHost(room: NetworkRoom): Promise<void> {
  const records = [...room.records.values()].filter(({ configOnly }) => !configOnly);
  await Promise.all(
    Object.entries(room.parts.drivers).map(async ([name, driver]) => {
      const own = records.filter((record) => record.driver === name);
      if (own.length === 0) return;
      const failed = await driver.setUpAll(own);
      for (const { id, name: network } of own) {
        const error = failed.get(id);
        if (error === undefined) {
          room.broken.delete(id);
          continue;
        }
        room.broken.set(id, error);
        room.deps.logger.error("a network could not be set up", { network, error: error.message });
      }
    }),
  );
  await room.parts.firewall.replace();
}
