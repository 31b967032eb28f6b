// What the verbs of the history share: the records of snapshots, and the journal. Snapshots are directories
// `<volume>/snapshots/<id>`; whatever may be there without a record is named by a row of `ops`, so that a start finds it.
// Locks: each verb holds its volume (deps.use), and no two volumes are held at once.

import { randomUUID } from "node:crypto";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { EngineError, messageOf } from "../../base/errors.ts";
import type { Change, Tables } from "../store/index.ts";
import type { VolumeHistoryDeps } from "./history.ts";
import type { SnapshotRecord } from "./snapshot-record.ts";

export type HeldVolume = Awaited<ReturnType<VolumeHistoryDeps["use"]>>;

export interface HistoryRoom {
  readonly deps: VolumeHistoryDeps;
  /** By volume, then by name. */
  readonly snapshots: Map<string, Map<string, SnapshotRecord>>;
  /** Volumes whose removal was prepared: whether it happened, the store knows. */
  readonly removing: Set<string>;
  /** Restores that were cut and could not be finished yet, by volume. */
  readonly unfinished: Map<string, HistoryOp>;
}

/** A row of the journal. */
export interface HistoryOp {
  /** Row's key. */
  readonly id: string;
  readonly volume: string;
  /**
   * "making": the directories are garbage unless they have a record. "moving": the volume's content is being exchanged. "moved": it
   * is, and the replaced content has its record; what is left is garbage.
   */
  readonly step: "making" | "moving" | "moved";
  /** Ids of directories in `snapshots`. */
  readonly made: readonly string[];
  readonly restore: RestoreOp | undefined;
}

export interface RestoreOp {
  readonly snapshot: string;
  /** What becomes the volume's content: the id of a directory in `snapshots`, or with `inside` a name in the volume itself. */
  readonly fresh: string;
  /** Likewise, what was replaced. */
  readonly aside: string;
  /** The volume's data is on another file system: nothing can be moved between it and `snapshots`. */
  readonly inside: boolean;
  /** The record of what is replaced, unless it is discarded. Its size is not known before it is there. */
  readonly replaced: SnapshotRecord | undefined;
}

const steps = ["making", "moving", "moved"] as const;
const historyOp = "volume-history";

export function putOp({ id, volume, step, made, restore }: HistoryOp): Change {
  const row = { id, kind: historyOp, subject: volume, step: steps.indexOf(step) };
  return { put: "ops", row: { ...row, payload: JSON.stringify({ made, restore }) } };
}

/** The rows of this room among all. */
export function parseHistoryOps(rows: readonly Tables["ops"][]): readonly HistoryOp[] {
  return rows
    .filter(({ kind }) => kind === historyOp)
    .map(({ id, subject, step, payload }) => {
      const { made, restore } = JSON.parse(payload) as Pick<HistoryOp, "made" | "restore">;
      return { id, volume: subject, step: steps[step] ?? "making", made, restore };
    });
}

export function beginOp(volume: string, made: readonly string[], restore?: RestoreOp): HistoryOp {
  return { id: `volume-history-${randomUUID()}`, volume, step: "making", made, restore };
}

export function directoryOf(held: HeldVolume, id: string): string {
  return join(held.directory, "snapshots", id);
}

/** An empty directory for a snapshot, which nobody but root can enter. */
export async function makeDirectory(room: HistoryRoom, held: HeldVolume, id: string): Promise<string> {
  const above = join(held.directory, "snapshots");
  await mkdir(above, { recursive: true, mode: 0o700 });
  await room.deps.trees.spread(above);
  const directory = join(above, id);
  await mkdir(directory, { mode: 0o700 });
  return directory;
}

/** Those of a volume that is held. */
export function snapshotsOf(room: HistoryRoom, volume: string): Map<string, SnapshotRecord> {
  const known = room.snapshots.get(volume) ?? new Map<string, SnapshotRecord>();
  room.snapshots.set(volume, known);
  return known;
}

/** @throws NotFound */
export function findSnapshot(room: HistoryRoom, volume: string, name: string): SnapshotRecord {
  const record = snapshotsOf(room, volume).get(name);
  if (record === undefined) throw new EngineError("NotFound", `volume ${volume} has no snapshot ${name}`);
  return record;
}

/** Deletes what a row of the journal names, then the row. What resists is tried again at the next start. */
export async function discard(room: HistoryRoom, held: HeldVolume, op: Pick<HistoryOp, "id" | "made">): Promise<void> {
  const { store, trees } = room.deps;
  await trees.remove(...op.made.map((id) => directoryOf(held, id)));
  await store.commit([{ delete: "ops", key: op.id }], { freesSpace: true });
}

/** What failed matters more than that it cannot be cleaned up now: the next start does. */
export async function discardQuietly(room: HistoryRoom, held: HeldVolume, op: HistoryOp): Promise<void> {
  await discard(room, held, op).catch((error: unknown) =>
    room.deps.logger.error("a copy that was not finished cannot be deleted", {
      volume: op.volume,
      error: messageOf(error),
    }),
  );
}

/** Says of what a copy failed. */
export function nameFailure(error: unknown, what: string): unknown {
  if (!(error instanceof EngineError)) return error;
  return new EngineError(error.kind, `${what}: ${error.message}`, { cause: error });
}
