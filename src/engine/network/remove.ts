// DELETE /networks/{id}: refused while anything depends on it, then journal → rules → device → row. A removal that was begun is finished
// by the next start; one that a step on the host stopped leaves the network as it was.

import { EngineError, isEngineError, messageOf } from "../../base/errors.ts";
import { failpoint } from "../../base/failpoint.ts";
import { isPredefined } from "./draft.ts";
import { beginOp, endOp } from "./journal.ts";
import type { Endpoint, NetworkRecord } from "./record.ts";
import type { NetworkRoom } from "./room.ts";

/**
 * @throws NotFound; InvalidParameter an ambiguous prefix; Forbidden predefined, in use by containers or as a configuration
 * Locks: `changing`.
 */
export async function removeNetwork(room: NetworkRoom, nameOrId: string): Promise<void> {
  using _held = await room.changing.lock("networks");
  const record = room.find(nameOrId);
  if (isPredefined(record.name))
    throw new EngineError("Forbidden", `${record.name} is a pre-defined network and cannot be removed`);
  await destroyNetwork(room, record);
}

function describeEndpoint(room: NetworkRoom, { id, containerId }: Endpoint): string {
  const name = room.deps.users.get(containerId)?.name ?? containerId.slice(0, 12);
  return `name:${JSON.stringify(name)} id:${JSON.stringify(id.slice(0, 12))}`;
}

/** @throws Forbidden something depends on it */
function refuseUsed(room: NetworkRoom, record: NetworkRecord): void {
  const { id, name, configOnly } = record;
  if (configOnly && room.records.values().some(({ configFrom }) => configFrom === name))
    throw new EngineError(
      "Forbidden",
      `error while removing network: configuration network ${JSON.stringify(name)} is in use`,
    );
  const leaving = room.leaving.values().filter((endpoint) => endpoint.networkId === id);
  const members = [...room.membersOf(id), ...leaving];
  if (members.length === 0) return;
  const list = members.map((endpoint) => describeEndpoint(room, endpoint)).join(", ");
  throw new EngineError("Forbidden", `error while removing network: network ${name} has active endpoints (${list})`);
}

/** The caller holds `changing`. @throws Forbidden something depends on it; System a step failed, and the network is as it was */
export async function destroyNetwork(room: NetworkRoom, record: NetworkRecord): Promise<void> {
  const { store, events } = room.deps;
  const { id } = record;
  refuseUsed(room, record);
  // From here on nobody can be connected to it.
  room.records.delete(id);
  try {
    if (!record.configOnly) await takeDown(room, record);
    const row = { delete: "networks", key: id } as const;
    await store.commit(record.configOnly ? [row] : [row, endOp(record)], { freesSpace: true });
  } catch (error) {
    await restore(room, record);
    throw error;
  }
  await failpoint("network.remove.committed");
  room.parts.ipam.forget(id);
  room.broken.delete(id);
  events.publish({ type: "network", action: "destroy", id, attributes: { name: record.name, type: record.driver } });
}

async function takeDown(room: NetworkRoom, record: NetworkRecord): Promise<void> {
  const driver = room.driverOf(record);
  await room.deps.store.commit([beginOp(record, "remove")], { freesSpace: true });
  await failpoint("network.remove.begun");
  const rules = driver.firewallOf(record);
  if (rules !== undefined) await room.parts.firewall.removeNetwork(rules);
  await failpoint("network.remove.rules");
  await driver.tearDown(record);
  await failpoint("network.remove.device");
}

/** Never throws: a network whose device cannot be made again is marked as broken, and a check mends it. */
async function restore(room: NetworkRoom, record: NetworkRecord): Promise<void> {
  const { logger, store } = room.deps;
  room.records.set(record.id, record);
  if (record.configOnly) return;
  const driver = room.driverOf(record);
  try {
    await driver.setUp(record);
    const rules = driver.firewallOf(record);
    if (rules !== undefined) await room.parts.firewall.addNetwork(rules);
    await store.commit([endOp(record)], { freesSpace: true });
  } catch (error) {
    room.broken.set(
      record.id,
      isEngineError(error) ? error : new EngineError("System", messageOf(error), { cause: error }),
    );
    logger.error("a network that could not be removed could not be set up again", {
      network: record.name,
      id: record.id,
      error: messageOf(error),
    });
  }
}
