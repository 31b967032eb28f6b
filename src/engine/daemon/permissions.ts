// F20: modes and owners of the engine's own paths, as a table. Repairing is setting them.

import { chmodSync, chownSync, lstatSync } from "node:fs";
import type { CheckFinding } from "../api/ports.ts";

export interface PathPermission {
  readonly path: string;
  readonly kind: "directory" | "file" | "socket";
  /** Bits that may be set; others are too many. */
  readonly mode: number;
  /** May be absent. */
  readonly optional: boolean;
}

/** The engine's paths; `sockets` are those of --host. */
export function permissionTable(options: {
  readonly dataRoot: string;
  readonly execRoot: string;
  readonly sockets: readonly string[];
}): readonly PathPermission[] {
  const { dataRoot, execRoot, sockets } = options;
  const directory = (path: string, mode: number): PathPermission => ({ path, kind: "directory", mode, optional: true });
  const file = (path: string): PathPermission => ({ path, kind: "file", mode: 0o600, optional: true });
  return [
    { ...directory(dataRoot, 0o711), optional: false },
    file(`${dataRoot}/gantry.db`),
    file(`${dataRoot}/gantry.db-wal`),
    file(`${dataRoot}/gantry.ballast`),
    directory(`${dataRoot}/content`, 0o700),
    // What containers and images leave has setuid programs in it: nobody passes through these.
    directory(`${dataRoot}/snapshots`, 0o700),
    directory(`${dataRoot}/volumes`, 0o700),
    directory(`${dataRoot}/tmp`, 0o700),
    directory(`${dataRoot}/build`, 0o700),
    directory(`${dataRoot}/containers`, 0o711),
    { ...directory(execRoot, 0o711), optional: false },
    directory(`${execRoot}/containers`, 0o711),
    directory(`${execRoot}/runtime`, 0o711),
    ...sockets.map((path): PathPermission => ({ path, kind: "socket", mode: 0o660, optional: false })),
  ];
}

function typeOf(stat: NonNullable<ReturnType<typeof lstatSync>>): string {
  if (stat.isDirectory()) return "directory";
  return stat.isSocket() ? "socket" : stat.isFile() ? "file" : "something else";
}

export function checkPermissions(table: readonly PathPermission[], repair: boolean): readonly CheckFinding[] {
  const findings: CheckFinding[] = [];
  for (const { path, kind, mode, optional } of table) {
    const stat = lstatSync(path, { throwIfNoEntry: false });
    const add = (detail: string, repaired: boolean): void => {
      findings.push({ invariant: "F20", subject: path, detail, repaired });
    };
    if (stat === undefined) {
      if (!optional) add("is missing", false);
      continue;
    }
    if (typeOf(stat) !== kind) {
      add(`is ${typeOf(stat)}, not a ${kind}`, false);
      continue;
    }
    const actual = stat.mode & 0o7777;
    if ((actual & ~mode) !== 0) {
      if (repair) chmodSync(path, actual & mode);
      add(`has mode ${actual.toString(8)}; at most ${mode.toString(8)} is right`, repair);
    }
    if (stat.uid !== 0) {
      if (repair) chownSync(path, 0, stat.gid);
      add(`belongs to uid ${stat.uid}, not to root`, repair);
    }
  }
  return findings;
}
