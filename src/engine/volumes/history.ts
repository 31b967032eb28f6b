// What volumes were at other moments, and as tars: the verbs are in snapshots.ts, rollback.ts and transfer.ts. Here is the start: records, and
// what a killed daemon left. A copy without a record is deleted, a restore that had begun to move the content is finished.

import { isEngineError, messageOf } from "../../base/errors.ts";
import type { Logger } from "../../base/log.ts";
import type { Files } from "../files/index.ts";
import type { ProjectQuotas } from "../kernel/project-quota.ts";
import type { Change, Store, Tables } from "../store/index.ts";
import { finishRestore } from "./finish-restore.ts";
import { holdVolume } from "./hold-volume.ts";
import { type HistoryOp, type HistoryRoom, parseHistoryOps, snapshotsOf } from "./history-room.ts";
import type { Trees, VolumeHistory, VolumeRecord } from "./index.ts";
import { restoreSnapshot, takeBack } from "./rollback.ts";
import { parseSnapshotRow } from "./snapshot-record.ts";
import { listSnapshots, removeSnapshot, takeSnapshot } from "./snapshots.ts";
import { exportVolume, importVolume } from "./transfer.ts";

/** What the history asks of the room that owns the volumes. */
export interface VolumeHistoryDeps {
  readonly store: Store;
  readonly trees: Trees;
  readonly files: Files;
  readonly quotas: Pick<ProjectQuotas, "share">;
  /** The volume, locked against removal and other operations on its data until disposed, and where its data is (mounted for this where needed). @throws NotFound */
  readonly use: (
    volume: string,
  ) => Promise<AsyncDisposable & { readonly record: VolumeRecord; readonly data: string; readonly directory: string }>;
  /** Makes a local volume whose data is the content of `fresh` (renamed into place), with one commit. @throws Conflict it is there already */
  readonly adopt: (
    record: { readonly name: string; readonly labels: Readonly<Record<string, string>> },
    fresh: string,
  ) => Promise<void>;
  /** A new directory on the volumes' own file system that a start of the daemon sweeps away. */
  readonly staging: () => string;
  readonly publish: (action: string, volume: string, attributes: Readonly<Record<string, string>>) => void;
  readonly logger: Logger;
}

/** The history as the room of the volumes needs it. */
export interface OwnedHistory extends VolumeHistory {
  /** Loads the records and finishes what a killed daemon left. Volumes must be known by then; never throws for one volume's sake. */
  load(): Promise<void>;
  /** Snapshots of a volume that is being removed: rows for its commit; their files are in the volume's directory. */
  removal(volume: string): readonly Change[];
  /** That commit is done: the next volume of that name has none of them. */
  removed(volume: string): void;
  /** Operations among rows of the journal, each with its volume. */
  parse(rows: readonly Tables["ops"][]): readonly { readonly id: string; readonly volume: string }[];
  /** Finishes or takes back what was cut; what cannot be settled is logged. Locks: the volume's name. */
  settle(id: string): Promise<boolean>;
  /** Names of a volume's snapshots: what a removal would take along, sorted. */
  names(volume: string): readonly string[];
  /** Bytes of files in a volume's snapshots, but for those that share all their blocks. */
  sizeBytes(volume: string): number;
}

export function createVolumeHistory(deps: VolumeHistoryDeps): OwnedHistory {
  const room: HistoryRoom = { deps, snapshots: new Map(), removing: new Set(), unfinished: new Map() };
  const records = (volume: string) => [...(room.snapshots.get(volume)?.values() ?? [])];
  return {
    load: () => loadHistory(room),
    removal: (volume) => {
      room.removing.add(volume);
      const unfinished = room.unfinished.get(volume);
      return [
        ...records(volume).map(({ id }): Change => ({ delete: "volume_snapshots", key: id })),
        ...(unfinished === undefined ? [] : [{ delete: "ops", key: unfinished.id } as const]),
      ];
    },
    removed: (volume) => {
      room.snapshots.delete(volume);
      room.unfinished.delete(volume);
      room.removing.delete(volume);
    },
    parse: parseHistoryOps,
    settle: (id) => settleOne(room, id),
    names: (volume) =>
      records(volume)
        .map(({ name }) => name)
        .toSorted(),
    sizeBytes: (volume) =>
      records(volume).reduce((total, { shared, sizeBytes }) => total + (shared ? 0 : sizeBytes), 0),
    snapshot: (volume, request, signal) => takeSnapshot(room, volume, request, signal),
    snapshots: (volume) => listSnapshots(room, volume),
    removeSnapshot: (volume, snapshot) => removeSnapshot(room, volume, snapshot),
    restore: (volume, request, signal) => restoreSnapshot(room, volume, request, signal),
    export: (volume, snapshot, signal) => exportVolume(room, volume, snapshot, signal),
    import: (request, tar, signal) => importVolume(room, request, tar, signal),
  };
}

async function loadHistory(room: HistoryRoom): Promise<void> {
  const { store, logger } = room.deps;
  const [rows, ops] = await Promise.all([store.load("volume_snapshots"), store.load("ops")]);
  for (const record of rows.map(parseSnapshotRow)) snapshotsOf(room, record.volume).set(record.name, record);
  const kept = new Set(rows.map(({ id }) => id));
  for (const op of parseHistoryOps(ops)) {
    try {
      await settle(room, op, kept);
    } catch (error) {
      if (op.step !== "making") room.unfinished.set(op.volume, room.unfinished.get(op.volume) ?? op);
      logger.error("a volume's snapshot or restore that was cut could not be settled", {
        volume: op.volume,
        step: op.step,
        error: messageOf(error),
      });
    }
  }
}

/** @returns whether it is settled; if not, that was logged. Locks: the volume's name. */
async function settleOne(room: HistoryRoom, id: string): Promise<boolean> {
  const { store, logger } = room.deps;
  const [rows, ops] = await Promise.all([store.load("volume_snapshots"), store.load("ops")]);
  const op = parseHistoryOps(ops).find((candidate) => candidate.id === id);
  if (op === undefined) return true;
  try {
    // Whatever holds the volume finishes a restore that was cut.
    if (op.step === "making") await settle(room, op, new Set(rows.map((row) => row.id)));
    else await (await holdVolume(room, op.volume))[Symbol.asyncDispose]();
    // What cannot be deleted is logged by those who tried.
    return !(await store.load("ops")).some((row) => row.id === id);
  } catch (error) {
    logger.error("a volume's snapshot or restore that was cut could not be settled", {
      volume: op.volume,
      step: op.step,
      error: messageOf(error),
    });
    return false;
  }
}

async function settle(room: HistoryRoom, op: HistoryOp, kept: ReadonlySet<string>): Promise<void> {
  const { store, use, logger } = room.deps;
  try {
    await using held = await use(op.volume);
    if (op.step === "making") await takeBack(room, held, { ...op, made: op.made.filter((id) => !kept.has(id)) });
    else await finishRestore(room, held, op);
    logger.info("a volume's snapshot or restore that was cut is settled", { volume: op.volume, step: op.step });
  } catch (error) {
    if (!isEngineError(error, "NotFound")) throw error;
    // Its directory is gone with it.
    await store.commit([{ delete: "ops", key: op.id }], { freesSpace: true });
  }
}
