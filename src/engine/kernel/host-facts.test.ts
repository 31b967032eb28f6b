import assert from "node:assert/strict";
import { test } from "node:test";
import { hostFacts, readHostFacts } from "./host-facts.ts";
import { parseMountinfo } from "./mountinfo.ts";

const readings = {
  mounts: parseMountinfo("1 0 0:1 / /sys/fs/selinux rw - selinuxfs selinuxfs rw"),
  cgroups: { version: 2, mounts: { "": "/sys/fs/cgroup" }, hybrid: false },
  status: "Name:\tx\nCapEff:\t0000000001000000\nCpus_allowed_list:\t0-3,8,10-11\n",
  meminfo: "MemTotal:        1024 kB\nMemFree: 1 kB\n",
  appArmorEnabled: "Y\n",
  seccompFilters: true,
} as const;

test("CPUs are those that this process may use; memory is in bytes; CAP_SYS_RESOURCE is bit 24", () => {
  const { kernelVersion, architecture, ...rest } = hostFacts(readings);
  assert.notEqual(kernelVersion, "");
  assert.ok(["amd64", "arm64"].includes(architecture));
  assert.deepEqual(rest, {
    cgroupVersion: 2,
    cgroupMounts: { "": "/sys/fs/cgroup" },
    hybrid: false,
    cpuCount: 7,
    memoryBytes: 1_048_576,
    canRaiseLimits: true,
    appArmor: true,
    seLinux: true,
    seccomp: true,
  });
});

test("what is not there is off", () => {
  const facts = hostFacts({
    ...readings,
    mounts: [],
    status: "CapEff:\t000001fffeffffff\nCpus_allowed_list:\t0\n",
    appArmorEnabled: undefined,
    seccompFilters: false,
  });
  assert.deepEqual(
    [facts.canRaiseLimits, facts.appArmor, facts.seLinux, facts.seccomp, facts.cpuCount],
    [false, false, false, false, 1],
  );
});

test("this host has CPUs, memory and cgroups", () => {
  const facts = readHostFacts();
  assert.ok(facts.cpuCount >= 1);
  assert.ok(facts.memoryBytes > 1 << 20);
  assert.ok(Object.keys(facts.cgroupMounts).length >= 1);
});
