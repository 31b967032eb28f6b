// A container's life under the shim, with the real crun: exit codes, signals, failures, network, nothing left behind.

import assert from "node:assert/strict";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { isEngineError } from "../../src/base/errors.ts";
import { readExitRecord } from "../../src/engine/runtime/shim-exit-record.ts";
import { demux, endContainer, exitOf, readLog, runToEnd, started } from "./shim-client-side.ts";
import { ShimWorld } from "./shim-fixture.ts";

let world: ShimWorld;
before(() => {
  world = new ShimWorld();
});
after(async () => {
  await world.dispose();
});

test("output, log, exit code and exit record agree; only config.json stays in the run directory", async () => {
  const ran = await runToEnd(world, { args: ["sh", "-c", "echo out; sleep 0.02; echo err >&2; exit 3"] });
  const { stdout, stderr } = demux(ran.output);
  assert.equal(stdout.toString(), "out\n");
  assert.equal(stderr.toString(), "err\n");
  assert.deepEqual(
    ran.log.map(({ log, stream }) => ({ log, stream })),
    [
      { log: "out\n", stream: "stdout" },
      { log: "err\n", stream: "stderr" },
    ],
  );
  for (const { time } of ran.log) assert.match(time, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z$/);
  assert.equal(ran.exit.exitCode, 3);
  assert.equal(ran.exit.signal, undefined);
  assert.equal(ran.exit.oomKilled, false);
  assert.deepEqual(await readExitRecord(ran.container.options.exitFile), ran.exit);
  assert.deepEqual(readdirSync(ran.container.options.runDir), ["config.json"]);
  assert.deepEqual(readdirSync(join(ran.container.dir, "data")).sort(), ["exit", "json.log"]);
});

test("the runtime's record and the cgroups are gone with the shim, and nothing is left where crun looks for cgroup2", async () => {
  const { container } = await runToEnd(world, { args: ["true"] });
  const { runtime, cgroups, id } = container.options;
  assert.deepEqual(
    existsSync(runtime.stateRoot) ? readdirSync(runtime.stateRoot).filter((name) => name === id) : [],
    [],
  );
  assert.deepEqual(cgroups.filter(existsSync), []);
  if (runtime.hidesUnifiedCgroup) assert.equal(existsSync(join("/sys/fs/cgroup", world.cgroupParent, id)), false);
});

test("a signal ends the container with 128 + n", async () => {
  for (const signal of [9, 15]) {
    const c = await world.spawn({ args: ["sh", "-c", "trap 'exit 7' USR1; echo ready; while :; do sleep 0.01; done"] });
    await started(c.shim);
    const exit = exitOf(c.shim);
    // PID 1 has no default action: only SIGKILL and what it handles reach it.
    if (signal === 15) await c.shim.kill("init", 15);
    await c.shim.kill("init", 9);
    assert.deepEqual(
      { ...(await exit), finishedAt: "" },
      { exitCode: 137, signal: 9, oomKilled: false, finishedAt: "" },
    );
    await c.shim.gone;
    await assert.rejects(c.shim.kill("init", 9), (error) => isEngineError(error, "NotFound"));
  }
});

test("a process that ends before the runtime has told its pid is not lost", async () => {
  for (let i = 0; i < 10; i++) {
    const ran = await runToEnd(world, { args: ["false"] });
    assert.equal(ran.exit.exitCode, 1);
  }
});

test("commands that cannot run: 127 for a missing one, 126 for one that is not executable; the shim leaves by itself", async () => {
  const cases: readonly (readonly [string, number, RegExp])[] = [
    ["nope", 127, /exec: "nope": executable file not found in \$PATH$/],
    ["/nope", 127, /exec: "\/nope": stat \/nope: no such file or directory$/],
    ["/noexec", 126, /exec: "\/noexec": permission denied$/],
    ["/etc", 126, /exec: "\/etc": permission denied$/],
  ];
  for (const [command, exitCode, message] of cases) {
    const options = world.prepare({ args: [command] });
    writeFileSync(join(options.rootfs.upper, "noexec"), "", { mode: 0o644 });
    const shim = await world.shims.spawn(options);
    const { duplex } = await shim.attach("init", { stdin: false, stdout: true, stderr: true });
    const ended = new Promise<void>((resolve) => duplex.on("end", () => resolve()));
    duplex.on("data", () => assert.fail("the runtime's words are not the container's output"));
    const result = await shim.run();
    assert.ok("failure" in result);
    assert.equal(result.failure.exitCode, exitCode);
    assert.match(result.failure.message, message);
    await ended;
    await shim.gone;
    await shim.abandon();
    assert.equal(existsSync(options.exitFile), false);
    assert.deepEqual(readdirSync(options.runDir), ["config.json"]);
  }
});

test("a runtime that is not there, or that says nothing, is a failure with 128", async () => {
  const silent = join(world.dir, "silent-runtime");
  writeFileSync(silent, "#!/bin/sh\nexit 5\n", { mode: 0o755 });
  for (const [runtimePath, message] of [
    [join(world.dir, "no-runtime"), /unable to start the runtime: execute .*no-runtime: No such file or directory/],
    [silent, /silent-runtime ended with status 5/],
  ] as const) {
    const c = await world.spawn({ args: ["true"], runtimePath });
    const result = await c.shim.run();
    assert.ok("failure" in result);
    assert.equal(result.failure.exitCode, 128);
    assert.match(result.failure.message, message);
    await c.shim.gone;
  }
});

test("a runtime that hangs is ended by abandon, with all that it has started", async () => {
  const hanging = join(world.dir, "hanging-runtime");
  const script = `#!/bin/sh
case " $* " in *' delete '*) exit 0;; esac
(setsid sleep 1000 & echo $! > ${world.dir}/orphan)
exec sleep 1000
`;
  writeFileSync(hanging, script, { mode: 0o755 });
  const c = await world.spawn({ args: ["true"], runtimePath: hanging });
  const run = c.shim.run();
  const told = (): boolean =>
    existsSync(join(world.dir, "orphan")) && readFileSync(join(world.dir, "orphan")).length > 0;
  while (!told()) await new Promise((resolve) => setTimeout(resolve, 10));
  await c.shim.abandon();
  const result = await run;
  assert.ok("failure" in result);
  const orphan = Number(readFileSync(join(world.dir, "orphan"), "utf8"));
  assert.ok(orphan > 1);
  assert.throws(() => process.kill(orphan, 0), { code: "ESRCH" });
});

test("a shim that never ran its container is abandoned without a trace", async () => {
  const c = await world.spawn({ args: ["true"], network: world.bridgeNetwork("abandoned0") });
  assert.match(world.inNet("ip", "link"), /gvabandoned0/);
  assert.deepEqual(await c.shim.state(), { init: undefined, exit: undefined, execs: [] });
  await c.shim.abandon();
  assert.doesNotMatch(world.inNet("ip", "link"), /gvabandoned0/);
  assert.deepEqual(readdirSync(c.options.runDir), ["config.json"]);
});

test("a running container cannot be abandoned or run again", async () => {
  const c = await world.spawn({ args: ["sleep", "100"] });
  await started(c.shim);
  await assert.rejects(c.shim.abandon(), (error) => isEngineError(error, "Conflict"));
  await assert.rejects(c.shim.run(), (error) => isEngineError(error, "Conflict"));
  await endContainer(c);
});

test("no descriptor but 0, 1, 2 reaches the container, and its directories are its own", async () => {
  const ran = await runToEnd(world, {
    args: ["sh", "-c", "ls /proc/self/fd; readlink /proc/1/cwd; ls /proc/1/fd; true"],
  });
  // 3 is ls reading the directory.
  assert.equal(demux(ran.output).stdout.toString(), "0\n1\n2\n3\n/\n0\n1\n2\n");
});

test("signals are at their defaults and oom_score_adj is ordinary in the container", async () => {
  const ran = await runToEnd(world, {
    args: ["sh", "-c", "grep -E 'SigBlk|SigIgn' /proc/self/status; cat /proc/self/oom_score_adj"],
  });
  const text = demux(ran.output).stdout.toString();
  assert.match(text, /SigBlk:\t0{16}\n/);
  assert.match(text, /SigIgn:\t0{16}\n/);
  assert.match(text, /\n0\n$/);
});

test("bridge: address, MAC, MTU, default route and a way to the bridge; host end up, without router advertisements", async () => {
  const network = world.bridgeNetwork("bridged000");
  const [link] = network.interfaces;
  assert.ok(link !== undefined);
  const c = await world.spawn({
    args: ["sh", "-c", "ip -o addr; ip -o link; ip route; ping -c1 -W2 10.88.0.1 | grep received; sleep 100"],
    network,
  });
  await started(c.shim);
  const { duplex } = await c.shim.attach("init", { stdin: false, stdout: true, stderr: true });
  duplex.on("error", () => {});
  while (!readLog(c.logPath).some(({ log }) => log.includes("received"))) await new Promise((r) => setTimeout(r, 10));
  const text = readLog(c.logPath)
    .map(({ log }) => log)
    .join("");
  assert.match(text, new RegExp(`eth0\\s+inet ${link.addresses[0]} brd 10.88.255.255 scope global eth0`));
  assert.match(text, new RegExp(`eth0.*mtu 1500.*link/ether ${link.mac}`));
  assert.match(text, /lo\s+inet 127.0.0.1\/8/);
  assert.match(text, /default via 10.88.0.1 dev eth0/);
  assert.match(text, /1 packets received/);
  assert.doesNotMatch(text, /eth0\s+inet6/);
  assert.match(world.inNet("ip", "-o", "link", "show", link.hostInterface), /master gbr0 .*state UP/);
  assert.equal(world.inNet("cat", `/proc/sys/net/ipv6/conf/${link.hostInterface}/accept_ra`).trim(), "0");
  const joined = await runToEnd(world, {
    args: ["ip", "-o", "addr", "show", "eth0"],
    network: { kind: "join", path: `/proc/${(await c.shim.state()).init?.pid}/ns/net` },
  });
  assert.match(demux(joined.output).stdout.toString(), new RegExp(link.addresses[0] ?? ""));
  await endContainer(c);
  assert.throws(() => world.inNet("ip", "link", "show", link.hostInterface));
});

test("none has lo alone; host sees the host's interfaces", async () => {
  const none = await runToEnd(world, { args: ["sh", "-c", "ls /sys/class/net; ip -o addr show lo"] });
  assert.match(demux(none.output).stdout.toString(), /^lo\n.*inet 127\.0\.0\.1\/8/);
  const host = await runToEnd(world, { args: ["ip", "-o", "link"], network: { kind: "host" } });
  assert.match(demux(host.output).stdout.toString(), /gbr0/);
});

test("what goes wrong before the container runs is told by spawn, names its cause and leaves nothing", async () => {
  const network = world.bridgeNetwork("failing000");
  const interfaces = network.interfaces.map((link) => ({ ...link, parent: "nobridge" }));
  await assert.rejects(
    world.spawn({ args: ["true"], network: { ...network, interfaces } }),
    /find bridge nobridge: No such device/,
  );
  await assert.rejects(
    world.spawn({ args: ["true"], lower: [join(world.dir, "no-layer")] }),
    /mount overlay .*: No such file or directory/,
  );
  const options = world.prepare({ args: ["true"] });
  writeFileSync(options.exitFile, "");
  await assert.rejects(world.shims.spawn(options), /exit record .* exists/);
  await assert.rejects(world.shims.spawn({ ...options, runDir: "relative" }), /invalid run/);
});

test("hundreds of lower directories, with names of any kind, are one root file system", async () => {
  const lower: string[] = [];
  for (let i = 0; i < 200; i++) {
    const dir = join(
      world.dir,
      "layers",
      i === 7 ? `odd:,\\${"n".repeat(200)}` : `layer-with-a-name-that-is-rather-long-${i}`,
    );
    mkdirSync(dir, { recursive: true });
    writeFileSync(join(dir, "top"), String(i));
    writeFileSync(join(dir, `only-${i}`), String(i));
    lower.push(dir);
  }
  const ran = await runToEnd(world, {
    args: ["sh", "-c", "cat /top; ls / | grep -c only-; echo x > /written"],
    lower: [...lower, join(world.dir, "lower")],
  });
  assert.equal(demux(ran.output).stdout.toString(), "0200\n");
  assert.equal(readFileSync(join(ran.container.options.rootfs.upper, "written"), "utf8"), "x\n");
});

test("OOM: the record says so", { skip: world_lacksMemory() }, async () => {
  const ran = await runToEnd(world, {
    args: ["sh", "-c", "dd if=/dev/zero of=/dev/null bs=200M count=1"],
    memoryBytes: 32 * 1024 * 1024,
  });
  assert.equal(ran.exit.oomKilled, true);
});

function world_lacksMemory(): boolean {
  const mounts = readFileSync("/proc/self/mounts", "utf8");
  return !/ cgroup .*\bmemory\b/.test(mounts) && !/ \/sys\/fs\/cgroup cgroup2 /.test(mounts);
}

test("processes that outlive the first one in the host's pid namespace are killed, and the exit does not wait for them long", async () => {
  const ran = await runToEnd(world, { args: ["sh", "-c", "sleep 1000 & echo started; exit 4"], hostPid: true });
  assert.equal(ran.exit.exitCode, 4);
  assert.match(demux(ran.output).stdout.toString(), /started/);
});

test("SIGTERM and SIGHUP do not end a shim", async () => {
  const c = await world.spawn({ args: ["sleep", "100"] });
  await started(c.shim);
  process.kill(c.shim.identity.pid, "SIGTERM");
  process.kill(c.shim.identity.pid, "SIGHUP");
  assert.ok((await c.shim.state()).init !== undefined);
  assert.match(
    readFileSync(`/proc/${c.shim.identity.pid}/cmdline`, "utf8"),
    new RegExp(`^gantry-shim ${c.id.slice(0, 12)}\0*$`),
  );
  await endContainer(c);
});
