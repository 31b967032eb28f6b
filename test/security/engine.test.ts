// What has gone wrong in other engines, tried on ours through the docker CLI: each title begins with the number of the case in
// SECURITY.md. The host's files that a case aims at are canaries: they must not change.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { execFileSync } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { startDaemon, type TestDaemon } from "../support/daemon.ts";
import { importImage } from "../support/image.ts";

let daemon: TestDaemon;
let canaries: string;

before(async () => {
  daemon = await startDaemon();
  canaries = join(daemon.dir, "canaries");
  mkdirSync(canaries);
  writeFileSync(join(canaries, "file"), "untouched\n");
});

after(async () => {
  await daemon[Symbol.asyncDispose]();
});

function canariesUntouched(): void {
  assert.deepEqual(readdirSync(canaries), ["file"]);
  assert.equal(readFileSync(join(canaries, "file"), "utf8"), "untouched\n");
}

const sum = (path: string): string => createHash("sha256").update(readFileSync(path)).digest("hex");
const run = (...args: string[]): Promise<string> => daemon.dockerOk(["run", "--rm", ...args]);

/** The programs of the host that run on a container's behalf. */
function hostBinaries(): string[] {
  const crun = execFileSync("sh", ["-c", "command -v crun"], { encoding: "utf8" }).trim();
  const shim = realpathSync(join(import.meta.dirname, "../../shim/build/gantry-shim"));
  return [crun, shim, process.execPath];
}

test("S01: /proc/self/exe as the command changes no binary of the host", async () => {
  await importImage(daemon, "s01", (root) =>
    writeFileSync(join(root, "bin/evil"), "#!/proc/self/exe\n", { mode: 0o755 }),
  );
  const before = hostBinaries().map(sum);
  await daemon.dockerOk(["run", "-d", "--name", "s01", "s01", "sleep", "1000"]);
  const overwrite = "for p in /proc/[0-9]*; do (echo broken > $p/exe) 2>/dev/null; done; true";
  for (let i = 0; i < 20; i++) {
    await daemon.docker(["exec", "s01", i % 2 === 0 ? "/proc/self/exe" : "/bin/evil"]);
    await daemon.docker(["exec", "s01", "sh", "-c", overwrite]);
  }
  await daemon.docker(["run", "--rm", "s01", "/proc/self/exe"]);
  await daemon.docker(["run", "--rm", "s01", "/bin/evil"]);
  await daemon.dockerOk(["rm", "-f", "s01"]);
  assert.deepEqual(hostBinaries().map(sum), before);
});

test("S02: no descriptor of the host is inherited, and no working directory leads to one", async () => {
  assert.equal(await run("busybox", "sh", "-c", "ls /proc/self/fd"), "0\n1\n2\n3");
  await daemon.dockerOk(["run", "-d", "--name", "s02", "busybox", "sleep", "1000"]);
  assert.equal(await daemon.dockerOk(["exec", "s02", "ls", "/proc/self/fd"]), "0\n1\n2\n3");
  for (let fd = 3; fd < 24; fd++) {
    for (const suffix of ["", "/..", "/../../../.."]) {
      const dir = `/proc/self/fd/${fd}${suffix}`;
      const probe = ["sh", "-c", "ls -di . /; ls"];
      for (const result of [
        await daemon.docker(["exec", "-w", dir, "s02", ...probe]),
        ...(fd < 10 && suffix === "" ? [await daemon.docker(["run", "--rm", "-w", dir, "busybox", ...probe])] : []),
      ]) {
        if (result.code === 0) assert.doesNotMatch(result.stdout, /lost\+found|boot|gantry/, `${dir} shows the host`);
      }
    }
  }
  await daemon.dockerOk(["rm", "-f", "s02"]);
});

test("S03, S04, S05: /dev, /proc, /sys, /etc and /run as symlinks to the host reach nothing", async () => {
  for (const name of ["dev", "proc", "sys", "etc", "run"]) {
    await importImage(daemon, `s04-${name}`, (root) => {
      rmSync(join(root, name), { recursive: true, force: true });
      symlinkSync(canaries, join(root, name));
    });
    await daemon.docker(["run", "--rm", `s04-${name}`, "true"]);
    canariesUntouched();
  }
  const pattern = readFileSync("/proc/sys/kernel/core_pattern", "utf8");
  await importImage(daemon, "s03", (root) => {
    for (const node of ["null", "console", "pts", "shm", "zero", "tty"])
      symlinkSync("/proc/sys/kernel/core_pattern", join(root, "dev", node));
  });
  await daemon.docker(["run", "--rm", "s03", "sh", "-c", "echo x > /dev/null; echo x > /dev/console; true"]);
  assert.equal(readFileSync("/proc/sys/kernel/core_pattern", "utf8"), pattern);
  canariesUntouched();
});

test("S07: inheritable and ambient capabilities are empty in run and exec, also for other users", async () => {
  const caps = "grep -E 'CapInh|CapAmb' /proc/self/status | tr -d '\\t' | sort";
  const empty = "CapAmb:0000000000000000\nCapInh:0000000000000000";
  assert.equal(await run("busybox", "sh", "-c", caps), empty);
  assert.equal(await run("-u", "1000", "busybox", "sh", "-c", caps), empty);
  await daemon.dockerOk(["run", "-d", "--name", "s07", "busybox", "sleep", "1000"]);
  assert.equal(await daemon.dockerOk(["exec", "s07", "sh", "-c", caps]), empty);
  assert.equal(await daemon.dockerOk(["exec", "-u", "1000", "s07", "sh", "-c", caps]), empty);
  assert.equal(
    await daemon.dockerOk(["exec", "s07", "sh", "-c", "grep CapEff /proc/self/status | cut -f2"]),
    "00000000a80425fb",
  );
  assert.equal(
    await daemon.dockerOk(["exec", "-u", "1000", "s07", "sh", "-c", "grep CapEff /proc/self/status | cut -f2"]),
    "0000000000000000",
  );
  await daemon.dockerOk(["rm", "-f", "s07"]);
});

test("S08: a malformed user is refused and never becomes root", async () => {
  await daemon.dockerOk(["run", "-d", "--name", "s08", "busybox", "sleep", "1000"]);
  for (const user of [
    "1000:",
    " 0",
    "+0",
    "-1",
    "4294967296",
    "4294967295",
    "2147483648",
    "٠",
    "0x0",
    "1e0",
    "nobody:nogroup:x",
    "a".repeat(1 << 16),
  ]) {
    for (const args of [
      ["run", "--rm", "-u", user, "busybox", "id", "-u"],
      ["exec", "-u", user, "s08", "id", "-u"],
    ]) {
      const result = await daemon.docker(args);
      if (result.code === 0)
        assert.notEqual(result.stdout.trim(), "0", `${args[0]} -u ${JSON.stringify(user.slice(0, 20))} became root`);
      else assert.doesNotMatch(result.stderr, /internal|TypeError|undefined/i);
    }
  }
  await daemon.dockerOk(["rm", "-f", "s08"]);
});

test("S09: the groups are those asked for, the primary one among them", async () => {
  await importImage(daemon, "s09", (root) => {
    writeFileSync(join(root, "etc/passwd"), "root:x:0:0:root:/root:/bin/sh\nann:x:1000:1000::/home/ann:/bin/sh\n");
    writeFileSync(join(root, "etc/group"), "root:x:0:\nann:x:1000:\ndev:x:2000:ann\nops:x:3000:\n");
  });
  const groups = async (...args: string[]): Promise<string> =>
    (await run(...args, "s09", "id", "-G"))
      .split(" ")
      .toSorted((a, b) => Number(a) - Number(b))
      .join(" ");
  assert.equal(await groups("-u", "ann"), "1000 2000");
  assert.equal(await groups("-u", "ann", "--group-add", "ops"), "1000 2000 3000");
  assert.equal(await groups("-u", "ann:ops"), "3000");
  assert.equal(await groups("-u", "5:6"), "6");
  assert.equal(await groups("-u", "1000", "--group-add", "4000"), "1000 2000 4000");
});

test("S10: a container's process never sees a descriptor of a starting exec", async () => {
  const watch =
    "while :; do for p in /proc/[0-9]*; do ls -l $p/fd 2>/dev/null | grep -E ' /(usr|root|var|run|tmp)/.*(gantry|crun)' && echo LEAK; done; done";
  await daemon.dockerOk(["run", "-d", "--name", "s10", "busybox", "sh", "-c", watch]);
  for (let i = 0; i < 40; i++) await daemon.dockerOk(["exec", "s10", "true"]);
  assert.doesNotMatch(await daemon.dockerOk(["logs", "s10"]), /LEAK/);
  await daemon.dockerOk(["rm", "-f", "s10"]);
});

test("S14: passwd and group as links to the host, pipes, devices or giants neither block nor leak", async () => {
  const shapes: Readonly<Record<string, (path: string) => void>> = {
    link: (path) => symlinkSync("/etc/shadow", path),
    outside: (path) => symlinkSync("../../../../../../../../etc/passwd", path),
    pipe: (path) => execFileSync("mkfifo", [path]),
    zero: (path) => execFileSync("mknod", [path, "c", "1", "5"]),
    directory: (path) => mkdirSync(path),
  };
  for (const [name, make] of Object.entries(shapes)) {
    await importImage(daemon, `s14-${name}`, (root) => {
      for (const file of ["passwd", "group"]) make(join(root, "etc", file));
    });
    const numeric = await daemon.docker(
      ["run", "--rm", "-u", "1000", `s14-${name}`, "stat", "-c", "%u", "/proc/self/"],
      {
        timeoutMs: 20_000,
      },
    );
    if (numeric.code === 0) assert.equal(numeric.stdout.trim(), "1000", name);
    const named = await daemon.docker(["run", "--rm", "-u", "games", `s14-${name}`, "true"], { timeoutMs: 20_000 });
    assert.equal(named.code, 125, `${name}: a name of the host's passwd was found: ${named.stderr}`);
  }
  assert.equal((await daemon.api("GET", "/_ping")).status, 200);
});

test("S15: nothing under the engine's roots is readable or traversable for other users", async () => {
  await daemon.dockerOk(["run", "-d", "--name", "s15", "busybox", "sleep", "1000"]);
  execFileSync("chmod", ["755", daemon.dir]);
  const script = `find ${daemon.dataRoot} ${daemon.execRoot} -mindepth 1 -type f -readable 2>/dev/null | head; ls ${daemon.dataRoot}/snapshots ${daemon.execRoot}/containers 2>/dev/null; true`;
  const seen = execFileSync("setpriv", ["--reuid=1000", "--regid=1000", "--clear-groups", "sh", "-c", script], {
    encoding: "utf8",
  });
  assert.equal(seen, "");
  await daemon.dockerOk(["rm", "-f", "s15"]);
});

test("S17: hostile names in paths and queries are refused and touch nothing", async () => {
  const hostile = [
    "..",
    "../..",
    "../../etc/passwd",
    "%2e%2e%2f%2e%2e",
    "a/b",
    "/",
    "\u0000",
    "a\u0000b",
    "a\nb",
    "-rf",
    "$(id)",
    "`id`",
    "'",
    '"',
    "a b",
    "é",
    "x".repeat(5000),
    ".",
    "~",
    "*",
    "a;b",
    "__proto__",
    "constructor",
  ];
  for (const name of hostile) {
    const q = encodeURIComponent(name);
    for (const [method, path] of [
      ["GET", `/containers/${q}/json`],
      ["POST", `/containers/${q}/start`],
      ["DELETE", `/containers/${q}`],
      ["GET", `/images/${q}/json`],
      ["DELETE", `/images/${q}`],
      ["GET", `/exec/${q}/json`],
      ["GET", `/networks/${q}`],
    ] as const) {
      const answer = await daemon.api(method, path);
      assert.ok(
        answer.status >= 300 && answer.status < 500,
        `${method} ${JSON.stringify(path.slice(0, 60))}: ${answer.status} ${answer.text.slice(0, 200)}`,
      );
    }
    const created = await daemon.api("POST", `/containers/create?name=${q}`, { Image: "busybox" });
    if (/^\/?[a-zA-Z0-9][a-zA-Z0-9_.-]+$/.test(name)) {
      assert.ok([201, 400].includes(created.status), created.text);
      if (created.status === 201) await daemon.dockerOk(["rm", name]);
    } else {
      assert.equal(created.status, 400, `create as ${JSON.stringify(name.slice(0, 40))}: ${created.status}`);
    }
  }
  canariesUntouched();
});

test("S18: the files that the engine gives a container do not follow links of the image", async () => {
  await importImage(daemon, "s18", (root) => {
    for (const file of ["hosts", "hostname", "resolv.conf", "mtab"])
      symlinkSync(join(canaries, "file"), join(root, "etc", file));
    symlinkSync(join(canaries, "file"), join(root, ".dockerenv"));
  });
  await daemon.docker([
    "run",
    "--rm",
    "s18",
    "sh",
    "-c",
    "cat /etc/hosts; echo broken > /etc/hosts; echo broken > /etc/resolv.conf",
  ]);
  canariesUntouched();
});

test("S19: line breaks in what goes into generated files are refused or stay one record", async () => {
  for (const args of [
    ["-h", "a\nb"],
    ["--add-host", "x:1.2.3.4\n6.6.6.6 evil"],
    ["--dns", "1.2.3.4\nsearch evil"],
    ["--dns-search", "a\nnameserver 6.6.6.6"],
    ["--dns-option", "a\nnameserver 6.6.6.6"],
    ["--domainname", "a\nb"],
    ["-u", "0\n0"],
    ["--sysctl", "net.core.somaxconn=1\nkernel.core_pattern=x"],
  ]) {
    const result = await daemon.docker([
      "run",
      "--rm",
      ...args,
      "busybox",
      "cat",
      "/etc/hosts",
      "/etc/resolv.conf",
      "/etc/hostname",
    ]);
    assert.equal(result.code, 125, `${JSON.stringify(args)}: ${result.stdout}`);
  }
  assert.equal(
    await run("-e", "A=one\ntwo", "busybox", "sh", "-c", 'test "$A" = "one\ntwo" && env | grep -c ^PATH='),
    "1",
  );
});

test("S20: hundreds of attaches, resizes and execs that nobody reads leak neither memory nor descriptors", async () => {
  await daemon.dockerOk(["run", "-dt", "--name", "s20", "busybox", "sh", "-c", "while :; do sleep 1000; done"]);
  const fds = (): number => readdirSync(`/proc/${daemon.pid}/fd`).length;
  const kib = (): number => Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${daemon.pid}/status`, "utf8"))?.[1]);
  const round = async (): Promise<void> => {
    for (let i = 0; i < 50; i++) {
      await daemon.api("POST", `/containers/s20/resize?h=${20 + i}&w=80`);
      const { json } = await daemon.api("POST", "/containers/s20/exec", { Cmd: ["true"], AttachStdout: true });
      await daemon.api("POST", `/exec/${(json as { Id: string }).Id}/start`, { Detach: true });
    }
  };
  await round();
  const before = { fds: fds(), kib: kib() };
  for (let i = 0; i < 5; i++) await round();
  assert.ok(fds() <= before.fds + 8, `descriptors: ${before.fds} → ${fds()}`);
  assert.ok(kib() <= before.kib + 48 * 1024, `resident: ${before.kib} → ${kib()} KiB`);
  await daemon.dockerOk(["rm", "-f", "s20"]);
});

test("K01: kernel paths that leak or control are masked or read-only", async () => {
  const masked = ["/proc/kcore", "/proc/keys", "/proc/timer_list", "/proc/interrupts"];
  for (const path of masked.filter((one) => existsSync(one)))
    assert.equal(await run("busybox", "sh", "-c", `head -c 1 ${path} 2>/dev/null | wc -c`), "0", path);
  for (const dir of ["/sys/firmware", "/proc/acpi", "/proc/scsi"].filter((one) => existsSync(one))) {
    assert.equal(await run("busybox", "sh", "-c", `ls ${dir} | wc -l`), "0", dir);
  }
  for (const path of [
    "/proc/sys/kernel/hostname",
    "/proc/sysrq-trigger",
    "/proc/irq/default_smp_affinity",
    "/sys/kernel/mm/transparent_hugepage/enabled",
  ]) {
    if (existsSync(path))
      assert.equal(await run("busybox", "sh", "-c", `(echo 0 > ${path}) 2>/dev/null || echo refused`), "refused", path);
  }
});

test("K02: cgroups cannot be mounted, release agents not written, sysctls not smuggled", async () => {
  assert.equal(
    await run("busybox", "sh", "-c", "mkdir /x && mount -t cgroup -o memory none /x 2>/dev/null || echo refused"),
    "refused",
  );
  assert.equal(
    await run(
      "busybox",
      "sh",
      "-c",
      "find /sys/fs/cgroup -name release_agent 2>/dev/null | while read f; do (echo /x > $f) 2>/dev/null && echo WRITTEN; done; echo done",
    ),
    "done",
  );
  for (const sysctl of [
    "kernel.core_pattern=x",
    "net.core.somaxconn=1+kernel.core_pattern=x=x",
    "vm.swappiness=1",
    "net/../kernel/core_pattern=x",
    "kernel.shmmax.x=1=2+kernel.core_pattern=x",
  ]) {
    const result = await daemon.docker(["run", "--rm", "--sysctl", sysctl, "busybox", "true"]);
    assert.notEqual(result.code, 0, sysctl);
  }
  assert.doesNotMatch(readFileSync("/proc/sys/kernel/core_pattern", "utf8"), /^x/);
});

test("rm -rf --no-preserve-root / in a container leaves image and host as they were", async () => {
  const before = await run("busybox", "sh", "-c", "find / -xdev | sort | md5sum");
  await daemon.docker([
    "run",
    "--rm",
    "--privileged",
    "-v",
    `${canaries}:/canaries:ro`,
    "busybox",
    "rm",
    "-rf",
    "--no-preserve-root",
    "/",
  ]);
  await daemon.docker(["run", "--rm", "busybox", "sh", "-c", "rm -rf /bin /etc /lib / 2>/dev/null; true"]);
  assert.equal(await run("busybox", "sh", "-c", "find / -xdev | sort | md5sum"), before);
  canariesUntouched();
});
