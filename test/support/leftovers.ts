// What a daemon of a test and its containers have on the host: found by the names that only they have, and removed.

import { spawnSync } from "node:child_process";
import { existsSync, readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";

/** How a daemon's things are told from everybody else's. */
export interface Marks {
  /** Directory of its roots: in mounts and command lines. */
  readonly dir: string;
  readonly cgroupParent: string;
  readonly netns: string;
}

function readOr(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}

function cgroupMounts(): readonly string[] {
  return readFileSync("/proc/self/mountinfo", "utf8")
    .split("\n")
    .filter((line) => / - cgroup2? /.test(line))
    .map((line) => line.split(" ")[4] ?? "");
}

/** The cgroups below the parent, deepest first. The parent itself may stay while it is empty: it is the daemon's to keep. */
function cgroupDirs({ cgroupParent }: Marks): readonly string[] {
  const walk = (dir: string): readonly string[] => {
    if (!existsSync(dir)) return [];
    const inner = readdirSync(dir, { withFileTypes: true }).filter((entry) => entry.isDirectory());
    return [...inner.flatMap((entry) => walk(join(dir, entry.name))), dir];
  };
  return cgroupMounts().flatMap((mount) => walk(join(mount, cgroupParent)).slice(0, -1));
}

function processes({ dir }: Marks): readonly { readonly pid: number; readonly cmdline: string }[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
    .map((name) => ({ pid: Number(name), cmdline: readOr(`/proc/${name}/cmdline`).replaceAll("\0", " ").trim() }))
    .filter(({ cmdline }) => cmdline.includes(dir));
}

function mounts({ dir }: Marks): readonly string[] {
  return readFileSync("/proc/self/mountinfo", "utf8")
    .split("\n")
    .filter((line) => line.includes(dir));
}

function pidsIn(dir: string): readonly number[] {
  return readOr(join(dir, "cgroup.procs"))
    .split("\n")
    .map(Number)
    .filter((pid) => pid > 0);
}

/** A line for each process, cgroup, mount and link that is there now. */
export function findLeftovers(marks: Marks): readonly string[] {
  const links = spawnSync("ip", ["-n", marks.netns, "-br", "link"], { encoding: "utf8" }).stdout;
  return [
    ...cgroupDirs(marks).flatMap((dir) => [`cgroup ${dir}`, ...pidsIn(dir).map((pid) => `process ${pid} in ${dir}`)]),
    ...processes(marks).map(({ pid, cmdline }) => `process ${pid}: ${cmdline}`),
    ...mounts(marks).map((line) => `mount ${line}`),
    ...links
      .split("\n")
      .filter((line) => !["", "lo", "gantry0"].includes(line.split(/[\s@]/)[0] ?? ""))
      .map((line) => `link ${line}`),
  ];
}

function killIfThere(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // It has ended meanwhile.
  }
}

/** Kills, unmounts and removes; what is in the network namespace goes with that. */
export function removeLeftovers(marks: Marks): void {
  for (const { pid } of processes(marks)) killIfThere(pid);
  for (const pid of cgroupDirs(marks).flatMap(pidsIn)) killIfThere(pid);
  for (let i = 0; i < 40 && cgroupDirs(marks).length > 0; i++) {
    for (const dir of cgroupDirs(marks)) spawnSync("rmdir", [dir]);
    if (cgroupDirs(marks).length > 0) spawnSync("sleep", ["0.05"]);
  }
  for (const line of mounts(marks).toReversed()) spawnSync("umount", ["-l", line.split(" ")[4] ?? ""]);
  for (const mount of cgroupMounts()) spawnSync("rmdir", [join(mount, marks.cgroupParent)]);
}
