// The journal of networks: a row of `ops` while one is made or removed, and what a start makes of those that a kill left behind.
// A creation that was not committed is taken back; a removal that was begun is finished. Source: docs/durability.md.

import { messageOf } from "../../base/errors.ts";
import { parseNetworkId } from "../../base/ids.ts";
import type { Change, Tables } from "../store/index.ts";
import { type NetworkRecord, parseNetworkRow, renderNetworkRow } from "./record.ts";
import type { NetworkRoom } from "./room.ts";

/** `kind` of the journal's rows that are this room's. */
export const networkOp = "network";

const steps = { create: 0, remove: 1 } as const;

function opId(record: NetworkRecord): string {
  return `network-${record.id}`;
}

/** The intent to make or remove a network; the payload is its record. */
export function beginOp(record: NetworkRecord, step: keyof typeof steps): Change {
  const row = { id: opId(record), kind: networkOp, subject: record.id, step: steps[step] };
  return { put: "ops", row: { ...row, payload: JSON.stringify(renderNetworkRow(record)) } };
}

export function endOp(record: NetworkRecord): Change {
  return { delete: "ops", key: opId(record) };
}

function parsePayload(op: Tables["ops"]): NetworkRecord {
  return parseNetworkRow(JSON.parse(op.payload) as Tables["networks"]);
}

/**
 * Settles what an earlier daemon left in the middle; for the start, when the records are in `room` and before the host is arranged.
 * The firewall needs nothing: it is written as a whole afterwards. What cannot be settled is logged and tried again at the next start.
 */
export async function settleNetworkOps(room: NetworkRoom, ops: readonly Tables["ops"][]): Promise<void> {
  for (const op of ops.filter(({ kind }) => kind === networkOp)) {
    try {
      await settle(room, op);
    } catch (error) {
      room.deps.logger.error("a network that was being made or removed could not be settled", {
        network: op.subject,
        error: messageOf(error),
      });
    }
  }
}

async function settle(room: NetworkRoom, op: Tables["ops"]): Promise<void> {
  const { store, logger } = room.deps;
  const id = parseNetworkId(op.subject);
  const record = room.records.get(id) ?? parsePayload(op);
  const wasCreated = op.step === steps.create && room.records.has(id);
  const isNeeded = room.membersOf(id).length > 0;
  if (!wasCreated && !isNeeded) {
    await room.driverOf(record).tearDown(record);
    room.records.delete(id);
    room.parts.ipam.forget(id);
    logger.info("a network that was being made or removed is gone", { network: record.name, id });
    await store.commit([{ delete: "networks", key: id }, endOp(record)], { freesSpace: true });
    return;
  }
  await store.commit([endOp(record)], { freesSpace: true });
}
