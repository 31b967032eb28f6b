// A snapshot's record: rows of the store, its name, and how the API shows it. Pure.

import { EngineError } from "../../base/errors.ts";
import type { VolumeSnapshot } from "../../spec/docker/volume.ts";
import type { Change, Tables } from "../store/index.ts";

export interface SnapshotRecord {
  /** Also the name of its directory in the volume's `snapshots`. */
  readonly id: string;
  readonly volume: string;
  readonly name: string;
  /** RFC 3339 with nanoseconds. */
  readonly created: string;
  readonly sizeBytes: number;
  /** Its files shared all their blocks with the volume's when it was made. */
  readonly shared: boolean;
  readonly comment: string;
}

const maxNameLength = 255;
const maxCommentLength = 4096;

/** @throws InvalidParameter the name is none, by the rules for volumes; the comment is too long */
export function checkSnapshotWish(name: string, comment: string): void {
  const refuse = (text: string): EngineError => new EngineError("InvalidParameter", text);
  const shown = JSON.stringify(name.slice(0, maxNameLength));
  if (name.length > maxNameLength) throw refuse(`snapshot name ${shown}… is longer than ${maxNameLength} characters`);
  if (name !== "" && !/^[a-zA-Z0-9][a-zA-Z0-9_.-]+$/.test(name))
    throw refuse(
      `${shown} is no name for a snapshot: at least two characters, only "[a-zA-Z0-9][a-zA-Z0-9_.-]" are allowed`,
    );
  if (comment.length > maxCommentLength) throw refuse(`the comment is longer than ${maxCommentLength} characters`);
}

/** "20260102T030405Z" of an RFC 3339 time in UTC. */
export function timeName(created: string): string {
  return `${created.slice(0, 19).replaceAll(/[-:]/g, "")}Z`;
}

/** `wanted`, or with a number behind it when it is taken. */
export function freeName(wanted: string, isTaken: (name: string) => boolean): string {
  if (!isTaken(wanted)) return wanted;
  for (let number = 2; ; number++) if (!isTaken(`${wanted}-${number}`)) return `${wanted}-${number}`;
}

/** The name of what a restore replaces. */
export function replacedName(snapshot: string, created: string): string {
  return `before-${snapshot.slice(0, 200)}-${timeName(created)}`;
}

export function parseSnapshotRow(row: Tables["volume_snapshots"]): SnapshotRecord {
  const doc = JSON.parse(row.doc) as Omit<SnapshotRecord, "id" | "volume" | "name">;
  return { id: row.id, volume: row.volume, name: row.name, ...doc };
}

export function insertSnapshot({ id, volume, name, ...doc }: SnapshotRecord): Change {
  return { insert: "volume_snapshots", row: { id, volume, name, doc: JSON.stringify(doc) } };
}

export function renderSnapshot(record: SnapshotRecord): VolumeSnapshot {
  return {
    Name: record.name,
    Volume: record.volume,
    CreatedAt: record.created,
    Size: record.sizeBytes,
    Shared: record.shared,
    Comment: record.comment,
  };
}
