// X-Docker-Container-Path-Stat: what a path is, in Go's words. Source: Engine API 1.51, HEAD /containers/{id}/archive;
// pkg.go.dev/io/fs#FileMode.

import { renderRfc3339Nano } from "../../../base/time.ts";
import type { ArchiveStat } from "../ports.ts";

const second = 1_000_000_000n;

/** st_mode's file types, and Go's bits for them. */
const types: ReadonlyMap<number, number> = new Map([
  [0o040000, 2 ** 31],
  [0o120000, 2 ** 27],
  [0o060000, 2 ** 26],
  [0o020000, 2 ** 26 + 2 ** 21],
  [0o010000, 2 ** 25],
  [0o140000, 2 ** 24],
  [0o100000, 0],
]);
/** setuid, setgid, sticky. */
const specialBits: readonly (readonly [number, number])[] = [
  [0o4000, 2 ** 23],
  [0o2000, 2 ** 22],
  [0o1000, 2 ** 20],
];

/** The header's value. */
export function renderPathStat(stat: ArchiveStat): string {
  const { name, sizeBytes, mode, modifiedNs, linkTarget } = stat;
  const value = { name, size: sizeBytes, mode: goFileMode(mode), mtime: goTime(modifiedNs), linkTarget };
  return Buffer.from(JSON.stringify(value)).toString("base64");
}

/** Go's os.FileMode of a st_mode: the permissions are the same, all else is elsewhere. */
export function goFileMode(mode: number): number {
  const special = specialBits.reduce((sum, [bit, go]) => sum + ((mode & bit) === 0 ? 0 : go), 0);
  return (mode & 0o777) + special + (types.get(mode & 0o170000) ?? 2 ** 19);
}

/** RFC 3339 without zeros at the end of the fraction. */
export function goTime(ns: bigint): string {
  const fraction = ((ns % second) + second) % second;
  const whole = renderRfc3339Nano(ns - fraction).slice(0, -"000000000Z".length - 1);
  const digits = fraction.toString().padStart(9, "0").replace(/0+$/, "");
  return digits === "" ? `${whole}Z` : `${whole}.${digits}Z`;
}
