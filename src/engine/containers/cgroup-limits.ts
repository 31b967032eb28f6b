// The limits of a running container as the kernel has them, compared with its HostConfig, and set again (F9). What nobody asked for may
// have any value: a runtime is free in it.

import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { ContainerRecord } from "./model.ts";
import type { Room } from "./room.ts";

interface Limit {
  readonly name: string;
  readonly controller: string;
  readonly file: string;
  readonly wanted: number;
}

/** The kernel keeps memory limits in pages. */
const pageBytes = 4096;

/** A limit that is not what was asked for. */
export interface DifferentLimit {
  readonly detail: string;
  /** The kernel's file, and what belongs into it. */
  readonly path: string;
  readonly wanted: number;
}

/** A file that is not there is no limit that could be wrong. */
export function limitsThatDiffer(room: Room, record: ContainerRecord): readonly DifferentLimit[] {
  const cgroup = room.cgroupPath(record);
  return wantedLimits(room, record).flatMap(({ name, controller, file, wanted }) => {
    const mount = room.hierarchies.mounts[room.hierarchies.version === 2 ? "" : controller];
    if (mount === undefined) return [];
    const path = join(mount, cgroup, file);
    const text = readLimit(path);
    if (text === undefined || text === String(wanted)) return [];
    return [{ detail: `${name} is ${text} in the kernel and ${wanted} in the record`, path, wanted }];
  });
}

export function setLimit({ path, wanted }: DifferentLimit): void {
  // Never O_CREAT: cgroupfs answers it with EACCES.
  writeFileSync(path, String(wanted), { flag: "r+" });
}

function wantedLimits(room: Room, { hostConfig }: ContainerRecord): readonly Limit[] {
  const v2 = room.hierarchies.version === 2;
  const { Memory: memory = 0, PidsLimit: pids, CpusetCpus: cpus = "" } = hostConfig;
  const limits: Limit[] = [];
  if (memory > 0) {
    const file = v2 ? "memory.max" : "memory.limit_in_bytes";
    limits.push({ name: "Memory", controller: "memory", file, wanted: Math.floor(memory / pageBytes) * pageBytes });
  }
  if ((pids ?? 0) > 0) limits.push({ name: "PidsLimit", controller: "pids", file: "pids.max", wanted: pids ?? 0 });
  if (/^\d+$/.test(cpus))
    limits.push({ name: "CpusetCpus", controller: "cpuset", file: "cpuset.cpus", wanted: Number(cpus) });
  return limits;
}

function readLimit(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8").trim();
  } catch {
    return undefined;
  }
}
