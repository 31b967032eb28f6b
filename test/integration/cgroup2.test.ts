// The engine on a pure cgroup v2 host with Debian's own kernel: a virtual machine runs the shipped bundle.

import assert from "node:assert/strict";
import { test } from "node:test";
import { runInVm } from "../support/vm.ts";

/** Each line `name=value` that the guest's script prints is one fact; the asserts are out here. */
const script = String.raw`
gantryd --cgroup-parent /gantry-vm >/var/log/gantryd.log 2>&1 &
i=0; until gantry version >/dev/null 2>&1; do i=$((i+1)); [ $i -gt 300 ] && { cat /var/log/gantryd.log; exit 1; }; sleep 0.2; done
echo version=$(gantry info --format '{{.CgroupVersion}} {{.CgroupDriver}}')
echo hello=$(gantry run --rm busybox echo hello)
echo limits=$(gantry run --rm --memory 64m --cpus 0.5 --pids-limit 33 --cpu-shares 512 busybox sh -c 'cd /sys/fs/cgroup; cat memory.max; cat cpu.max; cat pids.max; cat cpu.weight')
echo namespace=$(gantry run --rm busybox cat /proc/self/cgroup)
echo readonly=$(gantry run --rm busybox sh -c 'mkdir /sys/fs/cgroup/x 2>/dev/null || echo refused')
gantry run -d --name up --memory 32m busybox sh -c 'echo first; sleep 1000' >/dev/null
gantry pause up >/dev/null; echo paused=$(gantry inspect --format '{{.State.Status}}' up) $(grep frozen /sys/fs/cgroup/gantry-vm/*/cgroup.events); gantry unpause up >/dev/null
gantry run --name oom --memory 16m busybox sh -c 'dd if=/dev/zero of=/dev/shm/x bs=1M count=60; tail /dev/zero' >/dev/null 2>&1
echo oom=$(gantry inspect --format '{{.State.OOMKilled}} {{.State.ExitCode}}' oom)
kill -9 $(cat /run/gantry/gantryd.pid); sleep 0.5
gantryd --cgroup-parent /gantry-vm >>/var/log/gantryd.log 2>&1 &
i=0; until gantry version >/dev/null 2>&1; do i=$((i+1)); [ $i -gt 300 ] && { cat /var/log/gantryd.log; exit 1; }; sleep 0.2; done
echo survived=$(gantry ps --format '{{.Names}} {{.State}}')
echo exec=$(gantry exec up echo inside)
echo logs=$(gantry logs up)
gantry rm -f up oom >/dev/null
sleep 3
echo check=$(gantry system check 2>&1 | tr '\n' ' ')
echo groups=$(ls -d /sys/fs/cgroup/gantry-vm/*/ 2>/dev/null | wc -l)
`;

test("containers run, are limited, frozen, killed for memory and survive the daemon on cgroup v2", {
  timeout: 600_000,
  skip: process.arch === "x64" ? false : "the guest is x86-64",
}, async () => {
  const { output, status } = await runInVm(script, 540_000);
  assert.equal(status, 0, output);
  const facts = Object.fromEntries([...output.matchAll(/^(\w+)=(.*)$/gm)].map((m) => [m[1], (m[2] ?? "").trim()]));
  assert.equal(facts["version"], "2 cgroupfs", output);
  assert.equal(facts["hello"], "hello", output);
  assert.equal(facts["limits"], "67108864 50000 100000 33 20", output);
  assert.equal(facts["namespace"], "0::/", output);
  assert.equal(facts["readonly"], "refused", output);
  assert.match(facts["paused"] ?? "", /^paused .*frozen 1/, output);
  assert.equal(facts["oom"], "true 137", output);
  assert.equal(facts["survived"], "up running", output);
  assert.equal(facts["exec"], "inside", output);
  assert.equal(facts["logs"], "first", output);
  assert.equal(facts["groups"], "0", output);
  assert.doesNotMatch(facts["check"] ?? "", /F\d/, output);
});
