// The cgroup functions on this host's own hierarchies: the ones in use and, on a hybrid host, the v2 one as well: it can
// freeze and kill without having a controller. Needs root.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import {
  type CgroupHierarchies,
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

const mounts = readMounts();
const inUse = discoverCgroups(mounts);
const unified = mounts.find((mount) => mount.fsType === "cgroup2")?.mountPoint;
const all: readonly CgroupHierarchies[] = [
  inUse,
  ...(inUse.hybrid && unified !== undefined
    ? [{ version: 2, mounts: { "": unified }, hybrid: false } satisfies CgroupHierarchies]
    : []),
];

/** A cgroup of this test's own in every hierarchy that lets processes in; undone at the end of the scope. */
function makeCgroup(hierarchies: CgroupHierarchies, path: string): AsyncDisposable {
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
function startForking(hierarchies: CgroupHierarchies, path: string): void {
  const joins = cgroupDirectories(hierarchies, path).map((directory) => `echo $$ > ${directory}/cgroup.procs`);
  spawn("sh", ["-c", `${joins.join("; ")}; while :; do sleep 0.02 & wait; done`], { stdio: "ignore" }).unref();
}

async function eventually(holds: () => boolean): Promise<void> {
  for (let i = 0; i < 500 && !holds(); i++) await new Promise((resolve) => setTimeout(resolve, 10));
  assert.ok(holds());
}

for (const hierarchies of all) {
  test(`v${hierarchies.version}: freezing stops all processes, thawing lets them go on`, async () => {
    const top = `/gantry-test-${process.pid}-v${hierarchies.version}-freeze`;
    await using _ = makeCgroup(hierarchies, `${top}/a`);
    startForking(hierarchies, `${top}/a`);
    await eventually(() => processesIn(hierarchies, top).length > 1);
    await freezeCgroup(hierarchies, top);
    assert.equal(isFrozen(hierarchies, top), true);
    const frozen = processesIn(hierarchies, top);
    await new Promise((resolve) => setTimeout(resolve, 100));
    assert.deepEqual(processesIn(hierarchies, top), frozen);
    thawCgroup(hierarchies, top);
    await eventually(() => processesIn(hierarchies, top).join() !== frozen.join());
  });

  test(`v${hierarchies.version}: killing ends processes that fork without end, also in a cgroup that was frozen from inside`, async () => {
    const top = `/gantry-test-${process.pid}-v${hierarchies.version}-kill`;
    await using _ = makeCgroup(hierarchies, `${top}/a`);
    startForking(hierarchies, `${top}/a`);
    await eventually(() => processesIn(hierarchies, top).length > 1);
    await freezeCgroup(hierarchies, `${top}/a`);
    const [first = 0] = processesIn(hierarchies, top);
    await killCgroup(hierarchies, top);
    assert.deepEqual(processesIn(hierarchies, top), []);
    assert.ok(["Z", undefined].includes(readProcessStat(first)?.state));
  });

  test(`v${hierarchies.version}: removing takes nested cgroups away in every hierarchy, and may be repeated`, async () => {
    const top = `/gantry-test-${process.pid}-v${hierarchies.version}-remove`;
    await using _ = makeCgroup(hierarchies, `${top}/a`);
    assert.deepEqual(listCgroups(hierarchies, top), ["a"]);
    await removeCgroup(hierarchies, top);
    assert.deepEqual(listCgroups(hierarchies, top), []);
    assert.ok(cgroupDirectories(hierarchies, top).every((directory) => !existsSync(directory)));
    await removeCgroup(hierarchies, top);
  });

  test(`v${hierarchies.version}: a busy cgroup is not removed, and the message says so`, async () => {
    const top = `/gantry-test-${process.pid}-v${hierarchies.version}-busy`;
    await using _ = makeCgroup(hierarchies, `${top}/a`);
    startForking(hierarchies, `${top}/a`);
    await eventually(() => processesIn(hierarchies, top).length > 0);
    await assert.rejects(removeCgroup(hierarchies, top, 50), { kind: "System", message: /still busy after 50 ms/ });
  });
}
