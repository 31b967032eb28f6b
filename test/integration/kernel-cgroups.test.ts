// The cgroup functions on this host's own hierarchies. Needs root.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import {
  cgroupDirectories,
  discoverCgroups,
  freezeCgroup,
  isFrozen,
  killCgroup,
  listCgroups,
  processesIn,
  removeCgroup,
  thawCgroup,
} from "../../src/engine/kernel/cgroups.ts";
import { readMounts } from "../../src/engine/kernel/mountinfo.ts";
import { readProcessStat } from "../../src/engine/kernel/process-identity.ts";

const hierarchies = discoverCgroups(readMounts());

/** A cgroup of this test's own in every hierarchy that lets processes in; undone at the end of the scope. */
function makeCgroup(path: string): AsyncDisposable {
  for (const directory of cgroupDirectories(hierarchies, path)) {
    mkdirSync(directory, { recursive: true });
    for (const file of ["cpuset.cpus", "cpuset.mems"]) {
      if (hierarchies.version === 2 || !existsSync(join(directory, file))) continue;
      const parts = path.split("/").slice(1);
      const mount = hierarchies.mounts["cpuset"] ?? "";
      for (let depth = 1; depth <= parts.length; depth++) {
        const at = join(mount, ...parts.slice(0, depth));
        writeFileSync(join(at, file), "0");
      }
    }
  }
  return {
    async [Symbol.asyncDispose]() {
      const top = `/${path.split("/")[1]}`;
      await killCgroup(hierarchies, top);
      await removeCgroup(hierarchies, top);
    },
  };
}

/** A shell that forks without end, in the cgroup. */
function startForking(path: string): void {
  const joins = cgroupDirectories(hierarchies, path).map((directory) => `echo $$ > ${directory}/cgroup.procs`);
  spawn("sh", ["-c", `${joins.join("; ")}; while :; do sleep 0.02 & wait; done`], { stdio: "ignore" }).unref();
}

async function eventually(holds: () => boolean): Promise<void> {
  for (let i = 0; i < 500 && !holds(); i++) await new Promise((resolve) => setTimeout(resolve, 10));
  assert.ok(holds());
}

test("freezing stops all processes, thawing lets them go on", async () => {
  const top = `/gantry-test-${process.pid}-freeze`;
  await using _ = makeCgroup(`${top}/a`);
  startForking(`${top}/a`);
  await eventually(() => processesIn(hierarchies, top).length > 1);
  await freezeCgroup(hierarchies, top);
  assert.equal(isFrozen(hierarchies, top), true);
  const frozen = processesIn(hierarchies, top);
  await new Promise((resolve) => setTimeout(resolve, 100));
  assert.deepEqual(processesIn(hierarchies, top), frozen);
  thawCgroup(hierarchies, top);
  await eventually(() => processesIn(hierarchies, top).join() !== frozen.join());
});

test("killing ends processes that fork without end, also in a cgroup that was frozen from inside", async () => {
  const top = `/gantry-test-${process.pid}-kill`;
  await using _ = makeCgroup(`${top}/a`);
  startForking(`${top}/a`);
  await eventually(() => processesIn(hierarchies, top).length > 1);
  await freezeCgroup(hierarchies, `${top}/a`);
  const [first = 0] = processesIn(hierarchies, top);
  await killCgroup(hierarchies, top);
  assert.deepEqual(processesIn(hierarchies, top), []);
  assert.ok(["Z", undefined].includes(readProcessStat(first)?.state));
});

test("removing takes nested cgroups away in every hierarchy, and may be repeated", async () => {
  const top = `/gantry-test-${process.pid}-remove`;
  await using _ = makeCgroup(`${top}/a`);
  assert.deepEqual(listCgroups(hierarchies, top), ["a"]);
  await removeCgroup(hierarchies, top);
  assert.deepEqual(listCgroups(hierarchies, top), []);
  assert.ok(cgroupDirectories(hierarchies, top).every((directory) => !existsSync(directory)));
  await removeCgroup(hierarchies, top);
});

test("a busy cgroup is not removed, and the message says so", async () => {
  const top = `/gantry-test-${process.pid}-busy`;
  await using _ = makeCgroup(`${top}/a`);
  startForking(`${top}/a`);
  await eventually(() => processesIn(hierarchies, top).length > 0);
  await assert.rejects(removeCgroup(hierarchies, top, 50), { kind: "System", message: /still busy after 50 ms/ });
});
