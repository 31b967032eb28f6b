// What an engine under test gets and leaves: a network namespace from which nothing leaves the machine, a directory, and the
// removal of both with everything that still runs or is mounted there, also when the bench fails half-way.

import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { processes } from "./measure.ts";

export interface Sandbox {
  /** Holds data, run-time files, socket and log; named in the command line of everything that belongs to the engine. */
  readonly dir: string;
  readonly namespace: string;
  /** Ends what is left and removes everything; never throws. */
  remove(): Promise<void>;
}

function ip(...args: string[]): void {
  execFileSync("ip", args, { stdio: ["ignore", "ignore", "inherit"] });
}

/** @param cgroupParent removed from every hierarchy at the end; undefined when the engine tidies up itself */
export function makeSandbox(name: string, cgroupParent: string | undefined): Sandbox {
  const namespace = `bench-${name}-${process.pid}`;
  const dir = mkdtempSync(join(tmpdir(), `bench-${name}-`));
  ip("netns", "add", namespace);
  ip("-n", namespace, "link", "set", "lo", "up");
  // A packet for a container that is gone must not leave the machine.
  for (const range of ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"]) {
    ip("-n", namespace, "route", "add", "unreachable", range, "metric", "4096");
  }
  return {
    dir,
    namespace,
    async remove() {
      await endProcesses(dir, namespace);
      for (const point of mountsBelow(dir)) attempt(() => execFileSync("umount", ["-l", point]));
      if (cgroupParent !== undefined) removeCgroups(cgroupParent);
      attempt(() => ip("netns", "del", namespace));
      attempt(() => rmSync(dir, { recursive: true, force: true }));
    },
  };
}

function attempt(work: () => unknown): void {
  try {
    work();
  } catch (error) {
    process.stderr.write(`bench: ${error instanceof Error ? error.message : String(error)}\n`);
  }
}

/** Processes that name the directory or stand in the namespace: daemons, shims and containers that outlived them. */
function leftOver(dir: string, namespace: string): number[] {
  const inside = attemptText(() => execFileSync("ip", ["netns", "pids", namespace], { encoding: "utf8" }));
  const pids = new Set(inside.split("\n").filter(Boolean).map(Number));
  for (const { pid, command } of processes()) if (command.includes(dir)) pids.add(pid);
  pids.delete(process.pid);
  return [...pids];
}

function attemptText(work: () => string): string {
  try {
    return work();
  } catch {
    return "";
  }
}

async function endProcesses(dir: string, namespace: string): Promise<void> {
  for (let round = 0; round < 50; round++) {
    const pids = leftOver(dir, namespace);
    if (pids.length === 0) return;
    for (const pid of pids) {
      try {
        process.kill(pid, round < 20 ? "SIGTERM" : "SIGKILL");
      } catch {
        // It has ended meanwhile.
      }
    }
    await sleep(100);
  }
}

/** Deepest first. */
function mountsBelow(dir: string): string[] {
  const points = readFileSync("/proc/self/mounts", "utf8")
    .split("\n")
    .map((line) => line.split(" ")[1] ?? "");
  return points.filter((point) => point.startsWith(`${dir}/`)).toReversed();
}

function removeCgroups(parent: string): void {
  const root = "/sys/fs/cgroup";
  for (const hierarchy of ["", ...readdirSync(root)]) {
    const top = join(root, hierarchy, parent);
    const below = attemptText(() =>
      execFileSync("find", [top, "-depth", "-type", "d"], { encoding: "utf8", stdio: "pipe" }),
    );
    for (const cgroup of below.split("\n").filter(Boolean)) attempt(() => rmdirSync(cgroup));
  }
}
