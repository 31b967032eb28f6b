// What a container's process finds itself confined by, seen from inside: crun run with the engine's spec.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import {
  mkdirSync,
  readFileSync,
  readdirSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
  chmodSync,
} from "node:fs";
import { join } from "node:path";
import { after, test } from "node:test";
import { execFileSync } from "node:child_process";
import { Bench, specs } from "./bundle.ts";

const bench = new Bench();
after(() => bench.dispose());

const status = "grep -E '^(Cap|NoNewPrivs|Seccomp:)' /proc/self/status";
const statusOf = (text: string): Readonly<Record<string, string>> =>
  Object.fromEntries([...text.matchAll(/^(\w+):\s*(\S+)$/gm)].map(([, name = "", value = ""]) => [name, value]));

test("a container runs with the 14 capabilities, a filter, and nothing inheritable or ambient (S07)", async () => {
  assert.deepEqual(statusOf(await bench.shell(status)), {
    CapInh: "0000000000000000",
    CapPrm: "00000000a80425fb",
    CapEff: "00000000a80425fb",
    CapBnd: "00000000a80425fb",
    CapAmb: "0000000000000000",
    NoNewPrivs: "0",
    Seccomp: "2",
  });
});

test("another user has no effective capabilities and cannot regain them (S07)", async () => {
  const found = statusOf(await bench.shell(status, { SecurityOpt: ["no-new-privileges"] }, { User: "alice" }));
  assert.deepEqual(found, {
    CapInh: "0000000000000000",
    CapPrm: "0000000000000000",
    CapEff: "0000000000000000",
    CapBnd: "00000000a80425fb",
    CapAmb: "0000000000000000",
    NoNewPrivs: "1",
    Seccomp: "2",
  });
});

test("an exec has the container's capabilities and filter, nothing inheritable or ambient, whoever it is (S07)", async () => {
  const root = bench.makeRoot();
  const spec = await bench.spec(root, ["sleep", "60"]);
  for (const [user, privileged, effective, bounding] of [
    ["", false, "00000000a80425fb", "00000000a80425fb"],
    ["alice", false, "0000000000000000", "00000000a80425fb"],
    ["", true, undefined, undefined],
  ] as const) {
    const exec = specs.buildExecProcess(spec, {
      args: ["sh", "-c", status],
      env: [],
      user: await specs.resolveUser(user, [], [root]),
      cwd: "",
      tty: false,
      privileged,
      consoleSize: undefined,
    });
    const result = bench.run(spec, exec);
    const found = statusOf(result.stdout);
    assert.equal(found["CapInh"], "0000000000000000", result.stderr);
    assert.equal(found["CapAmb"], "0000000000000000");
    assert.equal(found["Seccomp"], "2");
    if (effective !== undefined) assert.deepEqual([found["CapEff"], found["CapBnd"]], [effective, bounding]);
  }
});

test("CapAdd and CapDrop arrive; a privileged container has no filter", async () => {
  assert.equal(
    statusOf(await bench.shell(status, { CapDrop: ["ALL"], CapAdd: ["KILL"] }))["CapEff"],
    "0000000000000020",
  );
  const privileged = statusOf(await bench.shell(status, { Privileged: true }));
  assert.equal(privileged["Seccomp"], "0");
  assert.equal(privileged["CapInh"], "0000000000000000");
});

test("groups are the user's, the primary one among them (S09)", async () => {
  const groups = async (user: string, groupAdd: readonly string[] = []): Promise<string> =>
    (await bench.shell("id -u; id -g; id -G", { GroupAdd: groupAdd }, { User: user })).trim().replaceAll("\n", " ");
  assert.equal(await groups(""), "0 0 0 10");
  assert.equal(await groups("alice"), "1000 1000 1000 10 29");
  assert.equal(await groups("alice:audio"), "1000 29 29");
  assert.equal(await groups("4711:4712", ["77", "wheel"]), "4711 4712 4712 10 77");
});

test("the first process has the descriptors 0, 1 and 2 and no more (S02)", async () => {
  const root = bench.makeRoot();
  // The shell itself opens nothing; ls opens the directory it lists.
  const { stdout } = bench.run(await bench.spec(root, ["ls", "/proc/self/fd"]));
  const numbers = stdout.trim().split("\n").map(Number);
  assert.deepEqual(
    numbers.filter((number) => number <= 2),
    [0, 1, 2],
  );
  assert.equal(numbers.filter((number) => number > 2).length, 1, stdout);
});

test("a working directory that is a link of the image to a descriptor never leads to the host (S02)", async () => {
  const canary = join(bench.directory, "canary-s02");
  writeFileSync(canary, "host");
  for (let fd = 3; fd < 24; fd++) {
    for (const suffix of ["", "/..", "/../../.."]) {
      const root = bench.makeRoot();
      symlinkSync(`/proc/self/fd/${fd}${suffix}`, join(root, "wd"));
      const up = "../".repeat(30);
      const script = `readlink /proc/self/cwd; cat ${up}${canary.slice(1)}`;
      const { stdout } = bench.run(await bench.spec(root, ["sh", "-c", script], {}, { WorkingDir: "/wd" }));
      assert.doesNotMatch(stdout, /host$|unreachable/, `fd ${fd}${suffix}: ${stdout}`);
      rmSync(root, { recursive: true });
    }
  }
});

test("masked paths are empty and read-only ones cannot be written (K01)", async () => {
  const script =
    'for f in kcore keys timer_list interrupts sched_debug latency_stats; do [ -e /proc/$f ] && [ "$(head -c 1 /proc/$f 2>/dev/null | wc -c)" != 0 ] && echo leak $f; done; ' +
    'for d in /proc/acpi /proc/scsi /proc/asound /sys/firmware /sys/devices/virtual/powercap; do [ -d $d ] && [ -n "$(ls -A $d)" ] && echo leak $d; done; ' +
    "for f in /proc/sysrq-trigger /proc/sys/kernel/core_pattern /proc/sys/vm/swappiness /proc/irq/default_smp_affinity /sys/kernel/uevent_helper /sys/power/state; do " +
    "[ -e $f ] && (echo x >$f) 2>/dev/null && echo wrote $f; done; " +
    "d=/sys/fs/cgroup; [ -f $d/cgroup.procs ] || d='/sys/fs/cgroup/*'; for c in $d; do mkdir $c/x 2>/dev/null && echo made $c/x; done; echo done";
  assert.equal((await bench.shell(script)).trim(), "done");
});

test("/dev has the nodes that every program expects and nothing else; no tun", async () => {
  const listed = (await bench.shell("ls /dev")).trim().split("\n").toSorted();
  assert.deepEqual(
    listed.filter((name) => name !== "core"),
    [
      "fd",
      "full",
      "mqueue",
      "null",
      "ptmx",
      "pts",
      "random",
      "shm",
      "stderr",
      "stdin",
      "stdout",
      "tty",
      "urandom",
      "zero",
    ],
  );
});

test("devices that were not given cannot be opened, however they are made", async () => {
  const script =
    "mknod /tmp/null c 1 3 && echo x >/tmp/null && echo null; " +
    "for d in 'c 1 1' 'c 1 11' 'c 10 200' 'c 10 229' 'b 254 0' 'b 7 0' 'c 4 0'; do mknod /tmp/d $d && { (exec 3</tmp/d) 2>/dev/null && echo opened $d; rm /tmp/d; }; done; echo done";
  assert.equal((await bench.shell(script)).trim(), "null\ndone");
});

test("a device that was given can be used with the access asked for", async () => {
  const hostConfig = {
    Devices: [{ PathOnHost: "/dev/kmsg", PathInContainer: "/dev/log-of-kernel", CgroupPermissions: "w" }],
    CapAdd: ["SYSLOG"],
  };
  const script =
    "(exec 3>/dev/log-of-kernel) && echo writable; (exec 3</dev/log-of-kernel) 2>/dev/null || echo unreadable";
  assert.equal((await bench.shell(script, hostConfig)).trim(), "writable\nunreadable");
});

test("mounting, new namespaces and remounting are refused (K02)", async () => {
  const script =
    "mount -t tmpfs x /tmp && echo mounted; mount -o remount,rw /sys && echo remounted; mount -t cgroup x /tmp && echo cgroup; " +
    "umount /proc/sys && echo unmasked; unshare -U true && echo userns; unshare -m true && echo mountns; echo done";
  const text = await bench.shell(`(${script}) 2>/dev/null`);
  assert.equal(text.trim(), "done");
});

test("the runtime's binary cannot be overwritten through /proc/self/exe (S01)", async () => {
  const program = realpathSync(execFileSync("sh", ["-c", "command -v crun"], { encoding: "utf8" }).trim());
  const digest = (): string => createHash("sha256").update(readFileSync(program)).digest("hex");
  const before = digest();
  const root = bench.makeRoot();
  writeFileSync(join(root, "bin/evil"), "#!/proc/self/exe\n");
  chmodSync(join(root, "bin/evil"), 0o755);
  for (const args of [["/proc/self/exe"], ["/bin/evil"]]) {
    for (let round = 0; round < 5; round++) bench.run(await bench.spec(root, args));
  }
  const spec = await bench.spec(root, [
    "sh",
    "-c",
    "for i in 1 2 3 4 5 6 7 8 9; do for p in /proc/[0-9]*; do (echo evil >$p/exe) 2>/dev/null; done; done; sleep 2",
  ]);
  const exec = specs.buildExecProcess(spec, {
    args: ["/proc/self/exe"],
    env: [],
    user: await specs.resolveUser("", [], [root]),
    cwd: "",
    tty: false,
    privileged: false,
    consoleSize: undefined,
  });
  for (let round = 0; round < 5; round++) bench.run(spec, exec);
  assert.equal(digest(), before);
});

test("links of the image at /dev, /proc, /sys and /etc do not lead the runtime to the host (S03, S04, S05)", async () => {
  const canary = join(bench.directory, "canary-s04");
  mkdirSync(join(canary, "pts"), { recursive: true });
  writeFileSync(join(canary, "null"), "host");
  writeFileSync(join(canary, "ptmx"), "host");
  const before = [...readdirSync(canary)].toSorted();
  for (const name of ["dev", "proc", "sys", "etc", "dev/null", "dev/pts", "dev/ptmx", "dev/console"]) {
    for (const target of [canary, `${"../".repeat(30)}${canary.slice(1)}`, `${canary}/null`]) {
      const root = bench.makeRoot();
      const link = join(root, name);
      rmSync(link, { recursive: true, force: true });
      symlinkSync(target, link);
      const spec = await bench.spec(root, ["true"], {}, { User: "0" });
      bench.run(spec);
      assert.deepEqual([...readdirSync(canary)].toSorted(), before, `${name} -> ${target}`);
      assert.equal(readFileSync(join(canary, "null"), "utf8"), "host", `${name} -> ${target}`);
      assert.equal(readFileSync(join(canary, "ptmx"), "utf8"), "host", `${name} -> ${target}`);
      assert.deepEqual(readdirSync(join(canary, "pts")), []);
      rmSync(root, { recursive: true });
    }
  }
});

test("limits of files, memory and processes are in force", async () => {
  const hostConfig = { Memory: 64 * 2 ** 20, PidsLimit: 7, Ulimits: [{ Name: "nofile", Soft: 50, Hard: -1 }] };
  const text = await bench.shell(
    "grep 'open files' /proc/self/limits; cat /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/pids/pids.max /sys/fs/cgroup/memory.max /sys/fs/cgroup/pids.max 2>/dev/null",
    hostConfig,
  );
  assert.match(text, /^Max open files\s+50\s+(?:\d+|unlimited)\s/);
  assert.match(text, /\n67108864\n7\n?$/);
});
