import assert from "node:assert/strict";
import { test } from "node:test";
import type { HostConfig } from "../../spec/docker/container.ts";
import { readCgroupLimits, withoutUnenforceable } from "./cgroup-limits.ts";
import { checkCpuset } from "./cpuset.ts";
import { fakeHost, v1Facts, v2Facts } from "./fixture.ts";
import { checkResources, planResources, resourceWarnings, swapOf } from "./resources.ts";
import { parseProcessLimits, planRlimits, rlimitInfinity } from "./rlimits.ts";

const MiB = 2 ** 20;

test("limits that dockerd refuses are refused with its texts", () => {
  const cases: readonly (readonly [HostConfig, string])[] = [
    [{ Memory: 6 * MiB - 1 }, "Minimum memory limit allowed is 6MB"],
    [{ Memory: -1 }, "Minimum memory limit allowed is 6MB"],
    [{ MemorySwap: 1 }, "You should always set the Memory limit when using Memoryswap limit, see usage"],
    [
      { Memory: 10 * MiB, MemorySwap: 5 * MiB },
      "Minimum memoryswap limit should be larger than memory limit, see usage",
    ],
    [{ MemorySwappiness: 101 }, "Invalid value: 101, valid memory swappiness range is 0-100"],
    [{ MemorySwappiness: -2 }, "Invalid value: -2, valid memory swappiness range is 0-100"],
    [{ MemoryReservation: 1 }, "Minimum memory reservation allowed is 6MB"],
    [
      { Memory: 20 * MiB, MemoryReservation: 30 * MiB },
      "Minimum memory limit can not be less than memory reservation limit, see usage",
    ],
    [{ NanoCpus: 3e9 }, "range of CPUs is from 0.01 to 2.00, as there are only 2 CPUs available"],
    [{ NanoCpus: -1 }, "range of CPUs is from 0.01 to 2.00, as there are only 2 CPUs available"],
    [{ NanoCpus: 1e9, CpuQuota: 1000 }, "Conflicting options: Nano CPUs and CPU Quota cannot both be set"],
    [{ NanoCpus: 1e9, CpuPeriod: 1000 }, "Conflicting options: Nano CPUs and CPU Period cannot both be set"],
    [{ CpuPeriod: 1 }, "CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)"],
    [{ CpuQuota: 999 }, "CPU cfs quota can not be less than 1ms (i.e. 1000)"],
    [{ CpuShares: -1 }, "invalid CPU shares (-1): value must be a positive integer"],
    [{ OomScoreAdj: 1001 }, "Invalid value 1001, range for oom score adj is [-1000, 1000]"],
    [{ ShmSize: -1 }, "SHM size can not be less than 0"],
    [{ CpusetCpus: "0-5" }, "Requested CPUs are not available - requested 0-5, available: 0-1"],
    [{ CpusetMems: "x" }, "Invalid value x for cpuset mems: invalid format: x"],
    [{ Ulimits: [{ Name: "foo", Soft: 1, Hard: 1 }] }, "invalid ulimit type: foo"],
    [
      { Ulimits: [{ Name: "nofile", Soft: 20, Hard: 10 }] },
      "ulimit soft limit must be less than or equal to hard limit: 20 > 10",
    ],
    [{ Memory: 1.5e10 + 0.5 }, "invalid Memory: 15000000000.5 is not a whole number"],
    [{ PidsLimit: Number.POSITIVE_INFINITY }, "invalid PidsLimit: Infinity is not a whole number"],
  ];
  for (const [hostConfig, text] of cases) assert.deepEqual(checkResources(hostConfig, v1Facts), [text]);
});

test("limits that dockerd takes are taken", () => {
  for (const hostConfig of [
    { Memory: 6 * MiB },
    { Memory: 10 * MiB, MemorySwap: -1 },
    { MemorySwap: -1 },
    { MemorySwappiness: -1 },
    { MemoryReservation: -5 },
    { NanoCpus: 1 },
    { CpuQuota: -1 },
    { CpuShares: 1 },
    { CpusetCpus: "0,0-1" },
    { PidsLimit: -7 },
    { OomScoreAdj: -1000 },
    { Ulimits: [{ Name: "NOFILE", Soft: 1, Hard: -1 }] },
  ] satisfies HostConfig[]) {
    assert.deepEqual(checkResources(hostConfig, v1Facts), []);
  }
});

test("lists of CPUs are parsed in bounded time and space", () => {
  const check = (list: string): readonly string[] => checkCpuset("cpus", list, 2);
  assert.deepEqual(check("1-1000000000"), [
    "Invalid value 1-1000000000 for cpuset cpus: value of out range, maximum is 8192",
  ]);
  assert.deepEqual(check("8192"), ["Requested CPUs are not available - requested 8192, available: 0-1"]);
  for (const bad of ["a", "1-0", " 0", "0-1,", ",", "-1", "0-1-2", "١", "0x1", "0".repeat(70_000)]) {
    assert.match(check(bad)[0] ?? "", /^Invalid value .* for cpuset cpus: invalid format: /, bad.slice(0, 20));
  }
  assert.deepEqual(checkCpuset("mems", "0-9999999", undefined), [
    "Invalid value 0-9999999 for cpuset mems: value of out range, maximum is 8192",
  ]);
});

test("limits become OCI resources", () => {
  assert.deepEqual(
    planResources(
      {
        Memory: 50 * MiB,
        MemoryReservation: 20 * MiB,
        MemorySwappiness: 5,
        OomKillDisable: true,
        NanoCpus: 5e8,
        CpuShares: 1,
        CpusetCpus: "0",
        CpusetMems: "0",
        PidsLimit: 10,
      },
      v1Facts,
    ),
    {
      memory: { limit: 50 * MiB, reservation: 20 * MiB, swap: 100 * MiB, swappiness: 5, disableOOMKiller: true },
      cpu: { shares: 2, period: 100_000, quota: 50_000, cpus: "0", mems: "0" },
      pids: { limit: 10 },
    },
  );
  assert.deepEqual(planResources({ MemorySwappiness: 5, OomKillDisable: true, PidsLimit: -1 }, v2Facts), {});
  assert.deepEqual(planResources({ NanoCpus: 1 }, v1Facts), { cpu: { period: 100_000, quota: 1000 } });
  assert.deepEqual(planResources({ CpuQuota: -5, CpuPeriod: 2000 }, v1Facts), { cpu: { period: 2000, quota: -1 } });
});

test("swap without a number is as much again as memory", () => {
  assert.equal(swapOf({ Memory: 10 }), 20);
  assert.equal(swapOf({ Memory: 10, MemorySwap: -1 }), -1);
  assert.equal(swapOf({ Memory: 10, MemorySwap: 15 }), 15);
  assert.equal(swapOf({}), 0);
});

test("what cannot be granted is said", () => {
  const none = new Map<string, number>();
  assert.deepEqual(resourceWarnings({ OomKillDisable: true }, v1Facts, none), [
    "OOM killer is disabled for the container, but no memory limit is set, this can result in the system running out of resources.",
  ]);
  assert.deepEqual(resourceWarnings({ OomKillDisable: true }, v2Facts, none), [
    "Your kernel does not support OomKillDisable. OomKillDisable discarded.",
  ]);
  assert.equal(resourceWarnings({ MemorySwappiness: 5 }, v2Facts, none).length, 1);
});

test("limits of missing controllers are dropped with dockerd's warnings", () => {
  const asked: HostConfig = { Memory: 50 * MiB, CpuShares: 5, NanoCpus: 1e9, CpusetCpus: "0", PidsLimit: 5 };
  const bare = readCgroupLimits({ ...v1Facts, cgroupMounts: {} }, { ...fakeHost, readText: () => undefined });
  const { hostConfig, warnings } = withoutUnenforceable(asked, bare);
  assert.deepEqual(planResources(hostConfig, v1Facts), {});
  assert.equal(warnings.length, 5);
  assert.equal(
    warnings[0],
    "Your kernel does not support memory limit capabilities or the cgroup is not mounted. Limitation discarded.",
  );
  const noSwap = readCgroupLimits(v1Facts, { ...fakeHost, readText: () => undefined });
  assert.deepEqual(withoutUnenforceable({ Memory: 50 * MiB }, noSwap).warnings, [
    "Your kernel does not support swap limit capabilities or the cgroup is not mounted. Memory limited without swap.",
  ]);
  assert.deepEqual(withoutUnenforceable(asked, readCgroupLimits(v2Facts, fakeHost)).warnings, []);
});

test("limits above the engine's own are lowered where it may not raise them, and said", () => {
  const facts = { ...v1Facts, canRaiseLimits: false };
  const own = new Map([["nofile", 20_000]]);
  const asked: HostConfig = {
    Ulimits: [
      { Name: "nofile", Soft: 5, Hard: -1 },
      { Name: "core", Soft: -1, Hard: -1 },
    ],
  };
  assert.deepEqual(planRlimits(asked, facts, own).rlimits, [
    { type: "RLIMIT_NOFILE", soft: 5, hard: 20_000 },
    { type: "RLIMIT_CORE", soft: rlimitInfinity, hard: rlimitInfinity },
  ]);
  assert.deepEqual(resourceWarnings(asked, facts, own), [
    "ulimit nofile: the engine may not raise limits (no CAP_SYS_RESOURCE): 20000 in place of -1.",
  ]);
  assert.deepEqual(resourceWarnings(asked, v1Facts, own), []);
});

test("hard limits are read from /proc/<pid>/limits", () => {
  const text =
    "Limit                     Soft Limit           Hard Limit           Units     \n" +
    "Max open files            1024                 20000                files     \n" +
    "Max core file size        0                    unlimited            bytes     \n" +
    "Max realtime timeout      unlimited            unlimited            us        \n";
  assert.deepEqual(
    [...parseProcessLimits(text)],
    [
      ["nofile", 20_000],
      ["core", -1],
      ["rttime", -1],
    ],
  );
});
