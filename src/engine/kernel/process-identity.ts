// Which process a pid means: pid, start time and boot together name a process once and for all, a pid alone does not.
// Source: proc_pid_stat(5), fields 1 to 22; /proc/sys/kernel/random/boot_id.

import { readFileSync } from "node:fs";
import { EngineError, errnoOf } from "../../base/errors.ts";

/** pid, its start time in clock ticks since boot (field 22, decimal), and the boot it belongs to. */
export interface ProcessIdentity {
  readonly pid: number;
  readonly startTime: string;
  readonly bootId: string;
}

export interface ProcessStat {
  readonly pid: number;
  /** May hold spaces, parentheses and newlines. */
  readonly comm: string;
  /** One letter: R, S, D, Z, T, t, X, I … */
  readonly state: string;
  readonly parentPid: number;
  /** Clock ticks since boot; text, as it is a 64-bit number. */
  readonly startTime: string;
}

/**
 * @param text the content of /proc/<pid>/stat
 * @throws InvalidParameter it is none
 */
export function parseProcessStat(text: string): ProcessStat {
  // comm is what stands between the first "(" and the last ")": it is not escaped.
  const open = text.indexOf("(");
  const close = text.lastIndexOf(")");
  const pid = Number(text.slice(0, open).trim());
  const rest = text
    .slice(close + 1)
    .trim()
    .split(" ");
  const [state, parentPid] = rest;
  const startTime = rest[22 - 3];
  if (open < 1 || close < open || !Number.isInteger(pid) || state === undefined || !/^\d+$/.test(startTime ?? "")) {
    throw new EngineError("InvalidParameter", `not a /proc/<pid>/stat: ${JSON.stringify(text.slice(0, 80))}`);
  }
  return { pid, comm: text.slice(open + 1, close), state, parentPid: Number(parentPid), startTime: startTime ?? "" };
}

/** The process as it is now; undefined when there is none. */
export function readProcessStat(pid: number): ProcessStat | undefined {
  try {
    return parseProcessStat(readFileSync(`/proc/${pid}/stat`, "utf8"));
  } catch (error) {
    const errno = errnoOf(error);
    if (errno === "ENOENT" || errno === "ESRCH") return undefined;
    throw error;
  }
}

/** A UUID that changes with every boot of the host. */
export function readBootId(): string {
  return readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
}

/** Names the process that has `pid` now; undefined when there is none. */
export function identifyProcess(pid: number, bootId: string = readBootId()): ProcessIdentity | undefined {
  const stat = readProcessStat(pid);
  return stat === undefined ? undefined : { pid, startTime: stat.startTime, bootId };
}

/** True while the very process runs: same boot, same start, and not a zombie that only waits to be reaped. */
export function isProcessAlive(identity: ProcessIdentity, bootId: string = readBootId()): boolean {
  if (identity.bootId !== bootId) return false;
  const stat = readProcessStat(identity.pid);
  return stat !== undefined && stat.startTime === identity.startTime && stat.state !== "Z" && stat.state !== "X";
}
