// The cgroup hierarchies of the host and what the engine does to a cgroup as a whole: find, freeze, kill, remove. A
// cgroup is named by its path ("/gantry/<id>"), the same in every hierarchy. Sources: the kernel's admin-guide/
// cgroup-v1/{cgroups,freezer-subsystem}.rst and cgroup-v2.rst (cgroup.freeze 5.2, cgroup.kill 5.14).

import { readdirSync, readFileSync, rmdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { EngineError, errnoOf } from "../../base/errors.ts";
import type { Mount } from "./mountinfo.ts";

export interface CgroupHierarchies {
  readonly version: 1 | 2;
  /** v1 or hybrid: mount point per controller, named hierarchies as "name=systemd"; v2: one entry "" → mount point. */
  readonly mounts: Readonly<Record<string, string>>;
  /** v1 hierarchies beside a v2 one; the v2 one is not in `mounts`. */
  readonly hybrid: boolean;
}

/** v1 mount options that name no controller. */
const notControllers = new Set(["rw", "ro", "xattr", "noprefix", "clone_children", "cpuset_v2_mode", "favordynmods"]);

/** @throws System no cgroup hierarchy is mounted */
export function discoverCgroups(mounts: readonly Mount[]): CgroupHierarchies {
  const v1: Record<string, string> = {};
  for (const mount of mounts.filter((mount) => mount.fsType === "cgroup")) {
    for (const option of mount.superOptions) {
      if (!notControllers.has(option) && !option.startsWith("release_agent=")) v1[option] ??= mount.mountPoint;
    }
  }
  const v2 = mounts.find((mount) => mount.fsType === "cgroup2")?.mountPoint;
  if (Object.keys(v1).length > 0) return { version: 1, mounts: v1, hybrid: v2 !== undefined };
  if (v2 !== undefined) return { version: 2, mounts: { "": v2 }, hybrid: false };
  throw new EngineError("System", "no cgroup hierarchy is mounted; mount one at /sys/fs/cgroup");
}

/**
 * The directories of a cgroup, one in every hierarchy, whether they exist or not.
 *
 * @throws InvalidParameter the path is the root, or not absolute and plain
 */
export function cgroupDirectories(hierarchies: CgroupHierarchies, path: string): readonly string[] {
  // What is killed or removed as a whole must never be the host's own root cgroup.
  if (!/^(\/[^/]+)+$/.test(path) || path.split("/").some((part) => part === "." || part === "..")) {
    throw new EngineError("InvalidParameter", `not the path of a cgroup below the root: ${JSON.stringify(path)}`);
  }
  return [...new Set(Object.values(hierarchies.mounts))].map((mount) => join(mount, path));
}

/** The names of the cgroups directly below `parent`, in any hierarchy, sorted. */
export function listCgroups(hierarchies: CgroupHierarchies, parent: string): readonly string[] {
  return [...new Set(cgroupDirectories(hierarchies, parent).flatMap(childrenOf))].sort();
}

/** The processes in a cgroup and below it, in any hierarchy, ascending. Those of other pid namespaces cannot be named. */
export function processesIn(hierarchies: CgroupHierarchies, path: string): readonly number[] {
  const pids = new Set<number>();
  for (const directory of cgroupDirectories(hierarchies, path).flatMap(subtreeOf)) {
    for (const line of readIfThere(join(directory, "cgroup.procs")).split("\n")) {
      const pid = Number(line);
      if (pid > 0) pids.add(pid);
    }
  }
  return [...pids].sort((a, b) => a - b);
}

/**
 * Stops every process of a cgroup; resolves when all stand still.
 *
 * @throws NotFound there is no such cgroup
 * @throws Deadline something in it does not stop (it is in uninterruptible sleep); it is thawed again
 */
export async function freezeCgroup(
  hierarchies: CgroupHierarchies,
  path: string,
  timeoutMs = 10_000,
  signal?: AbortSignal,
): Promise<void> {
  setFrozen(hierarchies, path, true);
  if (await until(() => isFrozen(hierarchies, path), timeoutMs, signal)) return;
  setFrozen(hierarchies, path, false);
  throw new EngineError("Deadline", `cgroup ${path} did not freeze within ${timeoutMs} ms`);
}

/** @throws NotFound there is no such cgroup */
export function thawCgroup(hierarchies: CgroupHierarchies, path: string): void {
  setFrozen(hierarchies, path, false);
}

/** True when every process in the cgroup stands still; false also when there is no such cgroup. */
export function isFrozen(hierarchies: CgroupHierarchies, path: string): boolean {
  const directory = freezerOf(hierarchies, path);
  return hierarchies.version === 2
    ? /^frozen 1$/m.test(readIfThere(join(directory, "cgroup.events")))
    : readIfThere(join(directory, "freezer.state")).trim() === "FROZEN";
}

/**
 * Kills every process in a cgroup and below it, also those that fork while it is done and those that are frozen;
 * resolves when none is left. A cgroup that does not exist is empty.
 *
 * @throws System processes are left after `timeoutMs`; the message has their pids
 */
export async function killCgroup(
  hierarchies: CgroupHierarchies,
  path: string,
  timeoutMs = 10_000,
  signal?: AbortSignal,
): Promise<void> {
  const empty = await until(
    () => {
      if (processesIn(hierarchies, path).length === 0) return true;
      const freezer = freezerOf(hierarchies, path);
      if (hierarchies.version !== 2 || !writeIfThere(join(freezer, "cgroup.kill"), "1")) {
        // A frozen cgroup cannot fork away from the signals; on v1 they take effect when it is thawed.
        writeFreezer(hierarchies, freezer, true);
        for (const pid of processesIn(hierarchies, path)) killIfThere(pid);
      }
      // An engine inside may have frozen cgroups of its own: thawing the parent alone leaves them frozen.
      for (const directory of subtreeOf(freezer)) writeFreezer(hierarchies, directory, false);
      return false;
    },
    timeoutMs,
    signal,
  );
  if (empty) return;
  const left = processesIn(hierarchies, path).join(", ");
  throw new EngineError("System", `cgroup ${path}: processes ${left} are left ${timeoutMs} ms after SIGKILL`);
}

/**
 * Removes an empty cgroup and all below it from every hierarchy. A cgroup that does not exist is removed already.
 *
 * @throws System it is still busy after `timeoutMs`
 */
export async function removeCgroup(
  hierarchies: CgroupHierarchies,
  path: string,
  timeoutMs = 5_000,
  signal?: AbortSignal,
): Promise<void> {
  const directories = cgroupDirectories(hierarchies, path);
  // EBUSY for a moment after the last process has gone: the kernel detaches it later than it reports its end.
  const gone = await until(() => directories.every(removeTree), timeoutMs, signal);
  if (!gone) throw new EngineError("System", `cgroup ${path} is still busy after ${timeoutMs} ms`);
}

function freezerOf(hierarchies: CgroupHierarchies, path: string): string {
  const mount = hierarchies.mounts[hierarchies.version === 2 ? "" : "freezer"];
  if (mount === undefined) throw new EngineError("System", "the freezer cgroup hierarchy is not mounted");
  return join(mount, path);
}

function setFrozen(hierarchies: CgroupHierarchies, path: string, frozen: boolean): void {
  if (!writeFreezer(hierarchies, freezerOf(hierarchies, path), frozen)) {
    throw new EngineError("NotFound", `no such cgroup: ${path}`);
  }
}

/** False where there is no such cgroup. */
function writeFreezer(hierarchies: CgroupHierarchies, directory: string, frozen: boolean): boolean {
  return hierarchies.version === 2
    ? writeIfThere(join(directory, "cgroup.freeze"), frozen ? "1" : "0")
    : writeIfThere(join(directory, "freezer.state"), frozen ? "FROZEN" : "THAWED");
}

/** A directory and all below it, parents first; nothing where it does not exist. */
function subtreeOf(directory: string): readonly string[] {
  return [directory, ...childrenOf(directory).flatMap((name) => subtreeOf(join(directory, name)))];
}

function childrenOf(directory: string): readonly string[] {
  try {
    return readdirSync(directory, { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map((entry) => entry.name);
  } catch (error) {
    if (isGone(error)) return [];
    throw error;
  }
}

/** True when the directory is gone, false when something in it is busy. */
function removeTree(directory: string): boolean {
  return subtreeOf(directory)
    .toReversed()
    .every((child) => {
      try {
        rmdirSync(child);
        return true;
      } catch (error) {
        if (isGone(error)) return true;
        if (errnoOf(error) === "EBUSY") return false;
        throw error;
      }
    });
}

/** Empty text where there is no such file, or where a threaded v2 cgroup refuses to list processes. */
function readIfThere(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    if (isGone(error) || errnoOf(error) === "EOPNOTSUPP") return "";
    throw error;
  }
}

/** False where there is no such file. */
function writeIfThere(path: string, text: string): boolean {
  try {
    // Never O_CREAT: cgroupfs answers it with EACCES instead of ENOENT.
    writeFileSync(path, text, { flag: "r+" });
    return true;
  } catch (error) {
    if (isGone(error)) return false;
    throw error;
  }
}

function killIfThere(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch (error) {
    if (errnoOf(error) !== "ESRCH") throw error;
  }
}

function isGone(error: unknown): boolean {
  const errno = errnoOf(error);
  return errno === "ENOENT" || errno === "ENODEV";
}

/** Asks at once, then after 1, 2, 4 … at most 50 ms, until the answer is yes (true) or the time is over (false). */
async function until(ask: () => boolean, timeoutMs: number, signal: AbortSignal | undefined): Promise<boolean> {
  const end = performance.now() + timeoutMs;
  for (let waitMs = 1; ; waitMs = Math.min(waitMs * 2, 50)) {
    signal?.throwIfAborted();
    if (ask()) return true;
    if (performance.now() >= end) return false;
    await new Promise((resolve) => setTimeout(resolve, waitMs));
  }
}
