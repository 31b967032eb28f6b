// POST /networks/create: decided and checked as a whole, then journal → device → rules → row, taken back in reverse where a step fails.

import { failpoint } from "../../base/failpoint.ts";
import { messageOf } from "../../base/errors.ts";
import { newNetworkId } from "../../base/ids.ts";
import { nowRfc3339Nano } from "../../base/time.ts";
import type { CreateNetworkRequest } from "../api/ports.ts";
import { draftNetwork } from "./draft.ts";
import type { NetworkDraft } from "./drivers/index.ts";
import { readHostSubnets } from "./host-subnets.ts";
import { beginOp, endOp } from "./journal.ts";
import { type NetworkRecord, renderNetworkRow } from "./record.ts";
import type { NetworkRoom } from "./room.ts";

/**
 * @throws what NetworksPort.create says; System: a step on the host failed, and what was done is undone
 * Locks: `changing`.
 */
export async function createNetwork(
  room: NetworkRoom,
  request: CreateNetworkRequest,
): Promise<{ readonly id: string; readonly warning: string }> {
  using _held = await room.changing.lock("networks");
  const { config, events } = room.deps;
  const draft = draftNetwork(
    newNetworkId(),
    request,
    [...room.records.values()],
    room.parts.drivers,
    config.defaultNetworkOptions,
  );
  const record = planNetwork(room, draft);
  try {
    await makeNetwork(room, record);
  } catch (error) {
    room.parts.ipam.forget(record.id);
    throw error;
  }
  events.publish({
    type: "network",
    action: "create",
    id: record.id,
    attributes: { name: record.name, type: record.driver },
  });
  return { id: record.id, warning: "" };
}

/** Chooses and reserves what the draft left open. */
function planNetwork(room: NetworkRoom, draft: NetworkDraft): NetworkRecord {
  const { drivers, ipam } = room.parts;
  const created = nowRfc3339Nano();
  if (draft.configOnly) return { ...draft, created, subnets: [], interface: "" };
  const driver = drivers[draft.driver];
  const { addresses, gateway } = driver.ipamOf(draft);
  const subnets = addresses
    ? ipam.plan(draft.id, {
        networkName: draft.name,
        enableIpv4: draft.enableIpv4,
        enableIpv6: draft.enableIpv6,
        config: draft.ipamConfig,
        gateway,
        used: readHostSubnets(),
      })
    : [];
  return { ...draft, created, subnets, interface: driver.interfaceName(draft) };
}

async function makeNetwork(room: NetworkRoom, record: NetworkRecord): Promise<void> {
  const { store } = room.deps;
  const insert = { insert: "networks", row: renderNetworkRow(record) } as const;
  if (record.configOnly) {
    await store.commit([insert]);
    room.records.set(record.id, record);
    return;
  }
  await store.commit([beginOp(record, "create")]);
  room.unfinished.add(record.id);
  room.records.set(record.id, record);
  try {
    const driver = room.driverOf(record);
    await failpoint("network.create.begun");
    await driver.setUp(record);
    await failpoint("network.create.device");
    const rules = driver.firewallOf(record);
    if (rules !== undefined) await room.parts.firewall.addNetwork(rules);
    await failpoint("network.create.rules");
    await store.commit([insert, endOp(record)]);
  } catch (error) {
    await takeBack(room, record);
    throw error;
  } finally {
    room.unfinished.delete(record.id);
  }
  await failpoint("network.create.committed");
}

/** Never throws: what cannot be undone now is undone by the next start, for which the journal's row stays. */
async function takeBack(room: NetworkRoom, record: NetworkRecord): Promise<void> {
  room.records.delete(record.id);
  const driver = room.driverOf(record);
  try {
    const rules = driver.firewallOf(record);
    if (rules !== undefined) await room.parts.firewall.removeNetwork(rules);
    await driver.tearDown(record);
    await room.deps.store.commit([endOp(record)], { freesSpace: true });
  } catch (error) {
    room.deps.logger.error("a network that could not be made could not be taken back", {
      network: record.name,
      id: record.id,
      error: messageOf(error),
    });
  }
}
