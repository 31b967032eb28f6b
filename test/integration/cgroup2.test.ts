// The engine on a pure cgroup v2 host with Debian's own kernel, and with its data on XFS with project quotas, which few kernels of test hosts
// have: a virtual machine, one for both because booting it takes its time, runs the shipped bundle.

import assert from "node:assert/strict";
import { join } from "node:path";
import { before, test } from "node:test";
import { guestNode, runInVm } from "../support/vm.ts";

const root = join(import.meta.dirname, "../..");

/** Each line `name=value` that the guest's script prints is one fact; the asserts are out here. */
const script = String.raw`
for fs in ext4 xfs; do truncate -s 400M /$fs.img; mkdir -p /mnt/$fs; done
mkfs.ext4 -q -O quota,project -E quotatype=prjquota /ext4.img && mkfs.xfs -q /xfs.img || exit 1
for fs in ext4 xfs; do mount -t $fs -o loop,prjquota /$fs.img /mnt/$fs || exit 1; done
mkdir -p /mnt/xfs/gantry /var/lib/gantry; mount -o bind /mnt/xfs/gantry /var/lib/gantry
${guestNode} /source/test/support/quota-guest.ts >/quota.log 2>&1 &
quotas=$!
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
fill='dd if=/dev/zero of=/big bs=1M count=40 2>/dev/null; wc -c </big; set -- $(df -m / | tail -1); echo $2'
echo written=$(gantry run --name limited --storage-opt size=16m busybox sh -c "$fill")
echo inspected=$(gantry inspect --format '{{json .HostConfig.StorageOpt}}' limited)
echo copied=$(gantry run --rm --storage-opt size=4m busybox sh -c 'dd if=/dev/zero of=/big bs=1M count=3 2>/dev/null; chmod 700 /bin/busybox 2>/dev/null && echo copied || echo refused')
gantry commit limited committed >/dev/null
echo committed=$(gantry run --rm committed sh -c 'dd if=/dev/zero of=/more bs=1M count=20 2>/dev/null; wc -c </big; wc -c </more')
gantry volume create --opt size=8m sized >/dev/null
echo in_volume=$(gantry run --rm -v sized:/v busybox sh -c 'dd if=/dev/zero of=/v/big bs=1M count=40 2>/dev/null; wc -c </v/big')
echo refused=$(gantry create --storage-opt size=x --storage-opt other=1 busybox true 2>&1)
echo oom=$(gantry inspect --format '{{.State.OOMKilled}} {{.State.ExitCode}}' oom)
kill -9 $(cat /run/gantry/gantryd.pid); sleep 0.5
gantryd --cgroup-parent /gantry-vm >>/var/log/gantryd.log 2>&1 &
i=0; until gantry version >/dev/null 2>&1; do i=$((i+1)); [ $i -gt 300 ] && { cat /var/log/gantryd.log; exit 1; }; sleep 0.2; done
echo survived=$(gantry ps --format '{{.Names}} {{.State}}')
echo exec=$(gantry exec up echo inside)
echo logs=$(gantry logs up)
echo restarted=$(gantry start -a limited)
gantry rm -f up oom limited >/dev/null
echo removed=$(gantry volume rm sized 2>&1)
wait $quotas; echo quotas=$?; cat /quota.log
sleep 3
echo check=$(gantry system check 2>&1 | tr '\n' ' ')
echo groups=$(ls -d /sys/fs/cgroup/gantry-vm/*/ 2>/dev/null | wc -l)
`;

const directories = (name: string, refusal: string): Record<string, string | RegExp> => ({
  [`${name}_state`]: "ok",
  [`${name}_first`]: `8 ${refusal}`,
  [`${name}_second`]: `8 ${refusal}`,
  [`${name}_size`]: "8",
  [`${name}_plain`]: "32 end",
  [`${name}_raised`]: `4 ${refusal}`,
  [`${name}_foreign`]: "EXDEV",
  [`${name}_shared`]: "moved",
  [`${name}_alone`]: "moved",
  [`${name}_full`]: `limit /mnt/${name}/plain: it is not empty`,
  [`${name}_out`]: "moved",
  [`${name}_released`]: "32 end",
});

/** Of limits: see quota-guest.ts for those of directories. */
const limits: Record<string, string | RegExp> = {
  quotas: "0",
  ...directories("ext4", "EDQUOT"),
  ...directories("xfs", "ENOSPC"),
  written: /^16\d{6} 16$/,
  inspected: '{"size":"16m"}',
  copied: "refused",
  committed: /^16\d{6} 20971520$/,
  in_volume: /^8\d{6}$/,
  refused: /invalid size: 'x'.*Unknown option other/,
  restarted: /^16\d{6} 16$/,
  removed: "sized",
};

const skip = process.arch === "x64" ? false : "the guest is x86-64";
let output: string;
let facts: Readonly<Record<string, string>>;
before(
  async () => {
    if (skip !== false) return;
    const guest = await runInVm(script, 540_000, {
      files: { [join(root, "src")]: "/source/src", [join(root, "test/support")]: "/source/test/support" },
      programs: ["/usr/sbin/mkfs.ext4", "/usr/sbin/mkfs.xfs", "/usr/bin/rm"],
      modules: ["loop", "xfs", "quota_v2"],
    });
    output = guest.output;
    assert.equal(guest.status, 0, output);
    facts = Object.fromEntries([...output.matchAll(/^(\w+)=(.*)$/gm)].map((m) => [m[1] ?? "", (m[2] ?? "").trim()]));
  },
  { timeout: 600_000 },
);

test("containers run, are limited, frozen, killed for memory and survive the daemon on cgroup v2", { skip }, () => {
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

test("directories, containers and volumes are limited on ext4 and XFS with project quotas, across a restart and a commit", {
  skip,
}, () => {
  for (const [name, value] of Object.entries(limits))
    if (typeof value === "string") assert.equal(facts[name], value, `${name}\n${output}`);
    else assert.match(facts[name] ?? "", value, `${name}\n${output}`);
});
