// A volume's record: rows of the store, and the volume as the API shows it. Pure.

import type { Volume } from "../../spec/docker/volume.ts";
import type { Change, Tables } from "../store/index.ts";
import type { DriverVolume, VolumeRecord } from "./index.ts";

/** The driver that is part of the engine. */
export const localDriver = "local";

export function parseVolumeRow(row: Tables["volumes"]): VolumeRecord {
  return JSON.parse(row.doc) as VolumeRecord;
}

function rowOf(record: VolumeRecord): Tables["volumes"] {
  return { name: record.name, doc: JSON.stringify(record) };
}

export function insertVolume(record: VolumeRecord): Change {
  return { insert: "volumes", row: rowOf(record) };
}

export function putVolume(record: VolumeRecord): Change {
  return { put: "volumes", row: rowOf(record) };
}

/** RFC 3339 of now, in seconds. */
export function nowSeconds(): string {
  return `${new Date().toISOString().slice(0, 19)}Z`;
}

/** Sorted by key, as Go writes maps. */
function sorted(map: Readonly<Record<string, string>> | null): Readonly<Record<string, string>> | null {
  return map === null ? null : Object.fromEntries(Object.entries(map).toSorted(([a], [b]) => (a < b ? -1 : 1)));
}

/**
 * @param driver what the driver tells of it; undefined where it does not answer
 * @param mountpoint "" where only a mount tells
 */
export function renderVolume(
  record: VolumeRecord,
  driver: Pick<DriverVolume, "createdAt" | "status"> | undefined,
  mountpoint: string,
): Volume {
  return {
    CreatedAt: driver?.createdAt ?? record.created,
    Driver: record.driver,
    Labels: sorted(record.labels),
    Mountpoint: mountpoint,
    Name: record.name,
    Options: sorted(record.options),
    Scope: record.scope,
    ...(driver?.status === undefined ? {} : { Status: driver.status }),
  };
}

/** A driver's volume that nobody made here. */
export function renderForeign(driver: string, scope: "local" | "global", volume: DriverVolume): Volume {
  return {
    ...(volume.createdAt === undefined ? {} : { CreatedAt: volume.createdAt }),
    Driver: driver,
    Labels: null,
    Mountpoint: volume.mountpoint,
    Name: volume.name,
    Options: null,
    Scope: scope,
    ...(volume.status === undefined ? {} : { Status: volume.status }),
  };
}
