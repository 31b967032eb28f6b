// The daemon comes and goes: reconnecting, the spawner's death, a shim's death, clients that misbehave on the socket.

import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, symlinkSync, writeFileSync } from "node:fs";
import { connect, createServer } from "node:net";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { isEngineError } from "../../src/base/errors.ts";
import { newContainerId } from "../../src/base/ids.ts";
import { renderFrame } from "../../src/engine/runtime/shim-frames.ts";
import { readExitRecord } from "../../src/engine/runtime/shim-exit-record.ts";
import {
  all,
  collect,
  demux,
  endContainer,
  execExitOf,
  exitOf,
  prepareExec,
  readLog,
  started,
} from "./shim-client-side.ts";
import { ShimWorld } from "./shim-fixture.ts";

let world: ShimWorld;
before(() => {
  world = new ShimWorld();
});
after(async () => {
  await world.dispose();
});

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

function childrenOf(pid: number): number[] {
  return execFileSync("ps", ["-o", "pid=", "--ppid", String(pid)], { encoding: "utf8" })
    .split("\n")
    .filter((text) => text.trim() !== "")
    .map(Number);
}

function spawnerPid(): number {
  for (const pid of readdirSync("/proc").filter((name) => /^\d+$/.test(name))) {
    try {
      const [, verb, label] = readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0");
      const parent = / (\d+) /.exec(readFileSync(`/proc/${pid}/stat`, "utf8").replace(/^.*\) . /, " "))?.[1];
      if (verb === "spawner" && label === world.dir && Number(parent) === process.pid) return Number(pid);
    } catch {
      continue;
    }
  }
  throw new Error("no spawner");
}

test("containers outlive the daemon: nothing of their output is lost, they are found again, and go on", async () => {
  const c = await world.spawn({
    args: ["sh", "-c", "trap 'echo bye; exit 8' TERM; i=0; while :; do echo $i; i=$((i+1)); sleep 0.002; done"],
  });
  await started(c.shim);
  const { init } = await c.shim.state();
  await sleep(50);
  c.shim.on("closed", () => assert.fail("letting go of a shim is not its end"));
  await world.shims.close();
  const unseen = readLog(c.logPath).length;
  await sleep(100);
  assert.ok(readLog(c.logPath).length > unseen, "the log goes on without a daemon");
  world.shims = world.newShims();
  const again = await world.shims.connect(c.id, c.options.runDir);
  assert.ok(again !== undefined);
  assert.deepEqual(again.identity, c.shim.identity);
  assert.deepEqual((await again.state()).init, init);
  const { duplex, position } = await again.attach("init", { ...all, stdin: false, pending: true });
  const output = collect(duplex);
  const exit = exitOf(again);
  await again.kill("init", 15);
  assert.equal((await exit).exitCode, 8);
  await again.gone;
  const before = readFileSync(c.logPath).toString("utf8", 0, position.offset);
  const text =
    before
      .split("\n")
      .slice(0, -1)
      .map((line) => (JSON.parse(line) as { log: string }).log)
      .join("") + demux(await output).stdout.toString();
  const lines = text.split("\n").slice(0, -1);
  assert.equal(lines.pop(), "bye");
  assert.deepEqual(
    lines,
    lines.map((_, i) => String(i)),
  );
});

test("a container that ends without a daemon leaves its exit record, and no shim", async () => {
  const c = await world.spawn({ args: ["sh", "-c", "sleep 0.2; exit 12"] });
  await started(c.shim);
  const { pid } = c.shim.identity;
  await world.shims.close();
  while (readFileSyncOrNothing(`/proc/${pid}/cmdline`).startsWith("gantry-shim")) await sleep(20);
  world.shims = world.newShims();
  assert.equal(await world.shims.connect(c.id, c.options.runDir), undefined);
  assert.equal((await readExitRecord(c.options.exitFile))?.exitCode, 12);
  assert.deepEqual(readdirSync(c.options.runDir), ["config.json"]);
});

function readFileSyncOrNothing(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}

test("execs go on without a daemon and their exit codes are told to the next one", async () => {
  const c = await world.spawn({ args: ["sleep", "1000"] });
  await started(c.shim);
  const id = await prepareExec(world, c, { args: ["sh", "-c", "sleep 0.1; exit 21"] });
  const result = await c.shim.runExec(id);
  assert.ok("pid" in result);
  await world.shims.close();
  const deadline = performance.now() + 30_000;
  while (existsSync(`/proc/${result.pid}`) && performance.now() < deadline) await sleep(20);
  world.shims = world.newShims();
  const again = await world.shims.connect(c.id, c.options.runDir);
  assert.ok(again !== undefined);
  assert.deepEqual((await again.state()).execs, [{ id, pid: result.pid, exitCode: 21 }]);
  await endContainer({ ...c, shim: again });
});

test("there is no shim: undefined, whether the directory, the socket or a listener is missing", async () => {
  const id = newContainerId();
  const dir = join(world.dir, "nobody");
  assert.equal(await world.shims.connect(id, dir), undefined);
  mkdirSync(dir);
  assert.equal(await world.shims.connect(id, dir), undefined);
  const dies = `require("net").createServer().listen(${JSON.stringify(join(dir, "shim.sock"))}, () => process.kill(process.pid, 9))`;
  spawnSync(process.execPath, ["-e", dies]);
  assert.ok(existsSync(join(dir, "shim.sock")));
  assert.equal(await world.shims.connect(id, dir), undefined);
});

test("a listener that closes a connection unanswered and is gone then was a dying shim: undefined", async () => {
  const dir = join(world.dir, "dying");
  mkdirSync(dir);
  const server = createServer((socket) => {
    socket.destroy();
    server.close();
  });
  await new Promise<void>((resolve) => server.listen(join(dir, "shim.sock"), resolve));
  assert.equal(await world.shims.connect(newContainerId(), dir), undefined);
});

test("another container's shim is not taken for this one's", async () => {
  const c = await world.spawn({ args: ["sleep", "1000"] });
  await started(c.shim);
  await assert.rejects(world.shims.connect(newContainerId(), c.options.runDir), (error) =>
    isEngineError(error, "DataLoss"),
  );
  await assert.rejects(world.shims.spawn({ ...c.options, exitFile: `${c.options.exitFile}2` }), /serves .* already/);
  await endContainer(c);
});

test("two daemons' connections both hear of the exit", async () => {
  const c = await world.spawn({ args: ["sleep", "1000"] });
  await started(c.shim);
  const other = await world.shims.connect(c.id, c.options.runDir);
  assert.ok(other !== undefined);
  const both = Promise.all([exitOf(c.shim), exitOf(other)]);
  await c.shim.kill("init", 9);
  const [a, b] = await both;
  assert.deepEqual(a, b);
  await Promise.all([c.shim.gone, other.gone]);
});

test("a listener that comes after the exit is told all the same", async () => {
  const c = await world.spawn({ args: ["true"] });
  await started(c.shim);
  await c.shim.gone;
  assert.equal((await exitOf(c.shim)).exitCode, 0);
  await new Promise<void>((resolve) => c.shim.on("closed", resolve));
});

test("the spawner's death leaves shims alive, and the next spawn starts another", async () => {
  const c = await world.spawn({ args: ["sleep", "1000"] });
  await started(c.shim);
  process.kill(spawnerPid(), "SIGKILL");
  await sleep(50);
  assert.ok((await c.shim.state()).init !== undefined);
  const d = await world.spawn({ args: ["true"] });
  await started(d.shim);
  await d.shim.gone;
  await endContainer(c);
});

test("the spawner keeps no zombies and no descriptors", async () => {
  const pid = spawnerPid();
  const before = readdirSync(`/proc/${pid}/fd`).length;
  for (let i = 0; i < 10; i++) {
    const c = await world.spawn({ args: ["true"] });
    await started(c.shim);
    await c.shim.gone;
  }
  await sleep(50);
  assert.equal(readdirSync(`/proc/${pid}/fd`).length, before);
  for (const child of childrenOf(pid)) assert.doesNotMatch(readFileSyncOrNothing(`/proc/${child}/stat`), /\) Z /);
});

test("a shim that dies is closed without an exit", async () => {
  const c = await world.spawn({ args: ["sleep", "1000"] });
  const init = await started(c.shim);
  const closed = new Promise<void>((resolve) => c.shim.on("closed", resolve));
  c.shim.on("exit", () => assert.fail("nobody told an exit"));
  process.kill(c.shim.identity.pid, "SIGKILL");
  await closed;
  assert.equal(await world.shims.connect(c.id, c.options.runDir), undefined);
  await assert.rejects(c.shim.state(), (error) => isEngineError(error, "Unavailable"));
  // What a daemon does then, by hand: the container's process belongs to nobody now.
  process.kill(init, "SIGKILL");
  await sleep(100);
  execFileSync("unshare", [
    "-m",
    "sh",
    "-c",
    `umount /sys/fs/cgroup/unified 2>/dev/null; exec crun --root ${c.options.runtime.stateRoot} delete --force ${c.id}`,
  ]);
  for (const cgroup of c.options.cgroups) {
    try {
      rmdirSync(cgroup);
    } catch {
      continue;
    }
  }
});

test("a long run directory is no obstacle", async () => {
  const long = join(world.dir, "d".repeat(120));
  mkdirSync(long);
  const options = world.prepare({ args: ["sh", "-c", "stty size"], tty: true, consoleSize: [12, 34] });
  const runDir = join(long, "run");
  mkdirSync(runDir);
  const config = readFileSync(join(options.runDir, "config.json"), "utf8").replaceAll(options.runDir, runDir);
  writeFileSync(join(runDir, "config.json"), config);
  const shim = await world.shims.spawn({ ...options, runDir });
  const { duplex } = await shim.attach("init", { ...all, stdin: false });
  const output = collect(duplex);
  await started(shim);
  assert.equal((await output).toString(), "12 34\r\n");
  await shim.gone;
});

test("a run directory behind a symbolic link works", async () => {
  const options = world.prepare({ args: ["echo", "linked"] });
  const link = join(world.dir, "link");
  symlinkSync(options.runDir, link);
  const shim = await world.shims.spawn({ ...options, runDir: link });
  const exit = exitOf(shim);
  await started(shim);
  assert.equal((await exit).exitCode, 0);
  await shim.gone;
});

test("garbage on the socket ends that connection and nothing else; a client that does not read is cut off", async () => {
  const c = await world.spawn({ args: ["sleep", "1000"] });
  await started(c.shim);
  const path = join(c.options.runDir, "shim.sock");
  const send = (bytes: Buffer): Promise<void> =>
    new Promise((resolve) => {
      const socket = connect(path);
      socket.on("error", () => {});
      socket.on("close", () => resolve());
      socket.resume();
      socket.write(bytes);
    });
  await send(Buffer.from("GET / HTTP/1.1\r\n\r\n"));
  await send(Buffer.from([0, 0, 0, 0]));
  await send(Buffer.from([0, 0, 0, 3, 1, 2, 3]));
  await send(renderFrame([["op", "state"]]));
  await send(
    renderFrame([
      ["op", "hello"],
      ["protocol", "99"],
    ]),
  );
  await send(
    renderFrame([
      ["op", "attach"],
      ["target", "nobody"],
    ]),
  );
  const deaf = connect(path);
  deaf.on("error", () => {});
  deaf.pause();
  deaf.write(
    renderFrame([
      ["op", "hello"],
      ["protocol", "1"],
    ]),
  );
  const flood = Buffer.concat(Array.from({ length: 20_000 }, () => renderFrame([["op", "state"]])));
  deaf.write(flood);
  const silent = Array.from({ length: 20 }, () => connect(path));
  for (const socket of silent) socket.on("error", () => {});
  await sleep(100);
  assert.ok((await c.shim.state()).init !== undefined);
  deaf.destroy();
  for (const socket of silent) socket.destroy();
  await endContainer(c);
});

test("twenty containers at once", async () => {
  const exits = await Promise.all(
    Array.from({ length: 20 }, async (_, i) => {
      const c = await world.spawn({
        args: ["sh", "-c", `exit ${i}`],
        network: world.bridgeNetwork(`many${String(i).padStart(6, "0")}`),
      });
      const exit = exitOf(c.shim);
      await started(c.shim);
      const { exitCode } = await exit;
      await c.shim.gone;
      return exitCode;
    }),
  );
  assert.deepEqual(
    exits,
    Array.from({ length: 20 }, (_, i) => i),
  );
});

test("execs' events reach a listener once each", async () => {
  const c = await world.spawn({ args: ["sleep", "1000"] });
  await started(c.shim);
  let count = 0;
  c.shim.on("execExit", () => count++);
  const id = await prepareExec(world, c, { args: ["true"] });
  const exit = execExitOf(c.shim, id);
  await c.shim.runExec(id);
  await exit;
  await endContainer(c);
  assert.equal(count, 1);
});
