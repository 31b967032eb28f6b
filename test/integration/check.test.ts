// `system check` finds what it promises to find, and repairs what it promises to repair: one violation of each kind, made by
// hand behind the engine's back. Source: docs/durability.md, F1–F20.

import assert from "node:assert/strict";
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import {
  appendFileSync,
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { connect, type Socket } from "node:net";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { TestDaemon } from "../support/daemon.ts";

interface Finding {
  readonly invariant: string;
  readonly subject: string;
  readonly detail: string;
  readonly repaired: boolean;
}

const daemon = new TestDaemon();
const stranger = "cd".repeat(32);
const children: ChildProcess[] = [];
let target = "";
let log = "";

before(async () => {
  await daemon.start();
  const options = ["--log-opt", "max-size=1k", "--log-opt", "max-file=2", "--pids-limit", "50", "-m", "20m"];
  target = await daemon.dockerOk(["run", "-d", "--name", "target", ...options, "busybox", "sleep", "100000"]);
  log = join(daemon.dataRoot, "containers", target, `${target}-json.log`);
  assert.deepEqual(await check(), []);
});
after(async () => {
  for (const child of children) child.kill("SIGKILL");
  for (const dir of cgroupDirs(stranger)) if (existsSync(dir)) spawnSync("rmdir", [dir]);
  await daemon[Symbol.asyncDispose]();
});

async function check(repair = false): Promise<readonly Finding[]> {
  const answer = await daemon.api(repair ? "POST" : "GET", "/gantry/check");
  assert.equal(answer.status, 200, answer.text);
  return answer.json as readonly Finding[];
}

/** "F6 gantry0: the bridge is not up" */
function linesOf(findings: readonly Finding[]): readonly string[] {
  return findings.map(({ invariant, subject, detail }) => `${invariant} ${subject}: ${detail}`).toSorted();
}

/** The violation is found, a repair mends all of it, and afterwards nothing is found. */
async function isMended(...expected: readonly string[]): Promise<void> {
  const repaired = await check(true);
  assert.deepEqual(linesOf(repaired), expected);
  assert.ok(
    repaired.every((finding) => finding.repaired),
    JSON.stringify(repaired),
  );
  assert.deepEqual(await check(), []);
}

/** The violation is found and left alone, also by a repair; `undo` ends it. */
async function isReported(undo: () => unknown, ...expected: readonly string[]): Promise<void> {
  try {
    const repaired = await check(true);
    assert.deepEqual(linesOf(repaired), expected);
    assert.ok(repaired.every((finding) => !finding.repaired));
  } finally {
    await undo();
  }
  assert.deepEqual(await check(), []);
}

function must(argv: readonly string[]): string {
  const [file = "", ...args] = argv;
  const result = spawnSync(file, args, { encoding: "utf8" });
  assert.equal(result.status, 0, `${argv.join(" ")}: ${result.stderr}`);
  return result.stdout;
}

function inNetns(...argv: readonly string[]): string {
  return must(["nsenter", `--net=/run/netns/${daemon.netns}`, ...argv]);
}

async function pidOf(name: string): Promise<number> {
  const { json } = await daemon.api("GET", `/containers/${name}/json`);
  return (json as { readonly State: { readonly Pid: number } }).State.Pid;
}

function parentOf(pid: number): number {
  return Number(/^PPid:\t(\d+)$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]);
}

/** Directories of one of the daemon's cgroups, in every hierarchy. */
function cgroupDirs(path: string): readonly string[] {
  return readFileSync("/proc/self/mountinfo", "utf8")
    .split("\n")
    .filter((line) => / - cgroup /.test(line) || (/ - cgroup2 /.test(line) && !/\/unified /.test(line)))
    .map((line) => join(line.split(" ")[4] ?? "", daemon.cgroupParent, path));
}

function sleeper(): ChildProcess {
  const child = spawn("sleep", ["100000"], { stdio: "ignore" });
  children.push(child);
  return child;
}

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const { promise, resolve } = Promise.withResolvers<void>();
  child.once("exit", () => resolve());
  await promise;
}

async function end(child: ChildProcess): Promise<void> {
  child.kill("SIGKILL");
  await ended(child);
}

function stateOf(pid: number): string {
  return /^State:\t(\w)/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1] ?? "";
}

async function until(what: string, is: () => boolean): Promise<void> {
  const deadline = performance.now() + 20_000;
  while (!is()) {
    assert.ok(performance.now() < deadline, `never: ${what}`);
    await sleep(20);
  }
}

test("F1: a process that is gone behind a shim that hangs", async () => {
  const id = await daemon.dockerOk(["run", "-d", "--name", "lost", "busybox", "sleep", "100000"]);
  const pid = await pidOf("lost");
  const shim = parentOf(pid);
  try {
    process.kill(shim, "SIGSTOP");
    await until("the shim stands still", () => stateOf(shim) === "T");
    process.kill(pid, "SIGKILL");
    await until("the process is dead", () => stateOf(pid) === "Z");
    const found = linesOf(await check());
    for (const line of [
      `F1 ${id}: is running and its process ${pid} does not exist`,
      `F16 pid ${pid}: zombie child of the shim of ${id.slice(0, 12)} (sleep)`,
      `F3 ${id}: shim ${shim} is stopped`,
    ])
      assert.ok(found.includes(line), `${line}\n${found.join("\n")}`);
    // The shim is woken and tells by itself, or is killed: whichever comes first, the container has ended and nothing is left.
    await check(true);
    assert.equal(await daemon.dockerOk(["wait", "lost"]), "137");
  } finally {
    try {
      process.kill(shim, "SIGCONT");
    } catch {
      // It has left, as it should.
    }
    await daemon.docker(["rm", "-f", "lost"]);
  }
  assert.deepEqual(await check(), []);
});

test("F2 and F9: processes in, and cgroups of, no container", async () => {
  const dirs = cgroupDirs(stranger);
  for (const dir of dirs) mkdirSync(dir);
  await isMended(`F9 ${stranger}: cgroup of no running container`);
  assert.equal(dirs.some(existsSync), false);
  for (const dir of dirs) mkdirSync(dir);
  const child = sleeper();
  writeFileSync(join(dirs[0] ?? "", "cgroup.procs"), `${child.pid}`);
  await isMended(`F2 ${stranger}: processes ${child.pid} of no running container`);
  await ended(child);
});

test("F2: a process in the engine's own part of the tree is somebody's, and stays", async () => {
  const child = sleeper();
  const dir = cgroupDirs("").find((path) => existsSync(join(path, "cgroup.procs"))) ?? "";
  writeFileSync(join(dir, "cgroup.procs"), `${child.pid}`);
  await isReported(() => end(child), `F2 ${daemon.cgroupParent}: processes ${child.pid} are in no container`);
});

test("F3: shims too many are ended, of no container and of one that has its own", async () => {
  for (const [id, text] of [
    [stranger, "shim PID without a running container"],
    [target, "has a second shim, PID"],
  ] as const) {
    const dir = join(daemon.execRoot, "containers", id);
    mkdirSync(dir, { recursive: true, mode: 0o700 });
    writeFileSync(join(dir, "open"), "");
    const fake = spawn("bash", ["-c", `exec 3<"${dir}/open"; exec -a "gantry-shim false" sleep 100000`], {
      stdio: "ignore",
    });
    children.push(fake);
    const title = `/proc/${fake.pid}/cmdline`;
    await until("the false shim runs", () => readFileSync(title, "latin1").startsWith("gantry-shim false"));
    const line = `F3 ${id}: ${text.replace("PID", String(fake.pid))}`;
    await isMended(...(id === stranger ? [`F14 ${dir}: run directory of no running container`, line] : [line]));
    await ended(fake);
  }
  assert.ok((await pidOf("target")) > 0);
});

test("F3: a shim that is stopped is woken", async () => {
  const shim = parentOf(await pidOf("target"));
  process.kill(shim, "SIGSTOP");
  await until("the shim stands still", () => stateOf(shim) === "T");
  await isMended(`F3 ${target}: shim ${shim} is stopped`);
});

test("F4: the runtime's state of no container goes; that of a running one is missed", async () => {
  const runtime = join(daemon.execRoot, "runtime");
  mkdirSync(join(runtime, stranger));
  await isMended(`F4 ${stranger}: runtime state of no running container`);
  renameSync(join(runtime, target), join(runtime, "aside"));
  await isReported(
    () => renameSync(join(runtime, "aside"), join(runtime, target)),
    `F4 ${target}: the runtime's state of it is gone; restart the container`,
  );
});

test("F5: a mount on the engine's directories", async () => {
  const place = join(daemon.dataRoot, "containers", target);
  must(["mount", "-t", "tmpfs", "-o", "mode=0710", "none", place]);
  await isMended(`F5 ${place}: tmpfs mounted in the host's namespace`);
});

test("F6: interfaces of nobody, a bridge that is down, has lost its address, or is gone", async () => {
  inNetns("ip", "link", "add", "gveth0123456789", "type", "bridge");
  await isMended("F6 gveth0123456789: interface of no container");
  inNetns("ip", "link", "set", "gantry0", "down");
  await isMended("F6 gantry0: the bridge gantry0 is down");
  inNetns("ip", "address", "flush", "dev", "gantry0");
  await isMended("F6 gantry0: the bridge gantry0 does not have its address 172.17.0.1/16");
  const veth = /gveth[0-9a-f]{10}/.exec(inNetns("ip", "-br", "link", "show", "master", "gantry0"))?.[0] ?? "";
  inNetns("ip", "link", "set", veth, "nomaster");
  await isMended(`F6 ${target}: its interface ${veth} is not on gantry0`);
  inNetns("ip", "link", "del", "gantry0");
  await isMended(`F6 ${target}: its interface ${veth} is not on gantry0`, "F6 gantry0: the bridge gantry0 is gone");
  // The container reaches the bridge again.
  assert.match(
    await daemon.dockerOk(["exec", "target", "ping", "-c", "1", "-W", "5", "172.17.0.1"]),
    /1 packets received/,
  );
});

test("F6: a container whose interface is gone", async () => {
  const id = await daemon.dockerOk(["run", "-d", "--name", "cut", "busybox", "sleep", "100000"]);
  const inside = must(["nsenter", `--net=/proc/${await pidOf("cut")}/ns/net`, "ip", "-o", "link", "show", "eth0"]);
  const index = /@if(\d+)/.exec(inside)?.[1] ?? "";
  const veth = new RegExp(`^${index}: (gveth[0-9a-f]{10})@`, "m").exec(inNetns("ip", "-o", "link"))?.[1] ?? "";
  inNetns("ip", "link", "del", veth);
  await isReported(
    () => daemon.dockerOk(["rm", "-f", "cut"]),
    `F6 ${id}: its interface ${veth} is gone; restart the container`,
  );
});

test("F7: our tables flushed, deleted, or with a rule that is not ours: mended at once, or found where that is missed", async () => {
  const list = (): string =>
    ["inet", "bridge"]
      .map((family) => ["nft", "-s", "list", "table", family, "gantry"])
      .map((argv) => spawnSync("nsenter", [`--net=/run/netns/${daemon.netns}`, ...argv], { encoding: "utf8" }).stdout)
      .join("");
  const before = list();
  const spawner = Number(must(["pgrep", "-P", String(daemon.pid), "-f", "spawner"]).split("\n")[0]);
  for (const argv of [
    ["flush", "table", "inet", "gantry"],
    ["delete", "table", "inet", "gantry"],
    ["delete", "table", "bridge", "gantry"],
    ["add", "rule", "inet", "gantry", "forward", "counter", "accept"],
  ]) {
    inNetns("nft", ...argv);
    const deadline = performance.now() + 10_000;
    while (list() !== before && performance.now() < deadline) await sleep(100);
    assert.equal(list(), before, argv.join(" "));
    assert.deepEqual(await check(), []);
    // It is the spawner that tells of changes.
    process.kill(spawner, "SIGSTOP");
    try {
      inNetns("nft", ...argv);
      const repaired = await check(true);
      assert.ok(repaired.length > 0, argv.join(" "));
      for (const { invariant, repaired: isRepaired } of repaired)
        assert.deepEqual([invariant, isRepaired], ["F7", true]);
      assert.equal(list(), before, argv.join(" "));
      assert.deepEqual(await check(), []);
    } finally {
      process.kill(spawner, "SIGCONT");
    }
  }
});

test("F9: limits that were changed are set again", async () => {
  const file = (name: string): string =>
    cgroupDirs(target)
      .map((dir) => join(dir, name))
      .find(existsSync) ?? "";
  writeFileSync(file("pids.max"), "60");
  await isMended(`F9 ${target}: PidsLimit is 60 in the kernel and 50 in the record`);
  assert.equal(readFileSync(file("pids.max"), "utf8").trim(), "50");
});

test("F10: blobs and layers that are missing are reported, those of nobody go", async () => {
  const blobs = join(daemon.dataRoot, "content/blobs/sha256");
  const planted = join(blobs, stranger);
  writeFileSync(planted, "x");
  await isMended(`F10 file ${planted}: no row names it`);
  assert.equal(existsSync(planted), false);
  const [name = ""] = readdirSync(blobs);
  renameSync(join(blobs, name), join(daemon.dir, "aside"));
  await isReported(
    () => renameSync(join(daemon.dir, "aside"), join(blobs, name)),
    `F10 blob sha256:${name}: its file is missing or corrupt`,
  );
  const text = readFileSync(join(blobs, name));
  writeFileSync(
    join(blobs, name),
    text.map((byte, index) => (index === 20 ? byte ^ 1 : byte)),
  );
  await isReported(
    () => writeFileSync(join(blobs, name), text),
    `F10 blob sha256:${name}: its file is missing or corrupt`,
  );
});

test("F10: the directory of a layer", async () => {
  const { json } = await daemon.api("GET", "/images/busybox/json");
  const [layer = ""] = (json as { readonly RootFS: { readonly Layers: readonly string[] } }).RootFS.Layers;
  const snapshots = join(daemon.dataRoot, "snapshots");
  const dir =
    readdirSync(snapshots)
      .map((name) => join(snapshots, name, "fs"))
      .find((path) => existsSync(join(path, "bin/busybox"))) ?? "";
  renameSync(dir, `${dir}-aside`);
  await isReported(() => renameSync(`${dir}-aside`, dir), `F10 layer ${layer}: its directory ${dir} is missing`);
});

test("F13: a loop device on a file of ours is reported", async (t) => {
  const file = join(daemon.dataRoot, "loop.img");
  writeFileSync(file, Buffer.alloc(1 << 20));
  const attached = spawnSync("losetup", ["--find", "--show", file], { encoding: "utf8" });
  if (attached.status !== 0) return t.skip(`no loop devices here: ${attached.stderr}`);
  const device = attached.stdout.trim();
  await isReported(() => {
    must(["losetup", "--detach", device]);
    rmSync(file);
  }, `F13 ${device}: is backed by ${file}`);
});

test("F14: directories of nobody", async () => {
  const paths = [
    join(daemon.dataRoot, "containers", stranger),
    join(daemon.execRoot, "containers", stranger),
    join(daemon.dataRoot, "snapshots/999999"),
  ];
  for (const path of paths) mkdirSync(join(path, "inside"), { recursive: true });
  const [data = "", run = "", snapshot = ""] = paths;
  await isMended(
    ...[
      `F14 ${data}: directory of no container`,
      `F14 ${run}: run directory of no running container`,
      `F14 directory ${snapshot}: no row names it`,
    ].toSorted(),
  );
  assert.equal(paths.some(existsSync), false);
});

test("F15: more descriptors than the engine can need", async () => {
  const sockets: Socket[] = [];
  for (let n = 0; n < 560; n++) {
    const socket = connect(daemon.socket);
    sockets.push(socket);
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    socket.once("connect", resolve).once("error", reject);
    await promise;
  }
  const found = linesOf(await check());
  for (const socket of sockets) socket.destroy();
  assert.equal(found.length, 1, found.join("\n"));
  assert.match(found[0] ?? "", /^F15 daemon: more than \d+ descriptors open: .*\d{3} socket/);
});

test("F17: a log that is larger than it may be is reported", async () => {
  appendFileSync(log, Buffer.alloc(2 << 20));
  const { size } = statSync(log);
  await isReported(() => writeFileSync(log, ""), `F17 ${log}: ${size} bytes; at most 1000 are right`);
  writeFileSync(`${log}.2`, "");
  await isReported(() => rmSync(`${log}.2`), `F17 ${log}.2: more than 2 log files`);
});

test("F18: a removal that was never finished", async () => {
  await using failing = new TestDaemon({ fromSource: true });
  await failing.start({ GANTRY_FAILPOINTS: "container.remove.committed=error" });
  const id = await failing.dockerOk(["create", "--name", "half", "busybox"]);
  await failing.dockerOk(["rm", "half"]);
  const answer = await failing.api("POST", "/gantry/check");
  const found = answer.json as readonly Finding[];
  assert.ok(linesOf(found).includes(`F18 ${id}: its remove was begun and never finished`), answer.text);
  assert.ok(
    found.every(({ repaired }) => repaired),
    answer.text,
  );
  assert.deepEqual((await failing.api("GET", "/gantry/check")).json, []);
  assert.equal(existsSync(join(failing.dataRoot, "containers", id)), false);
});

test("F20: modes that are too wide are narrowed", async () => {
  const paths = [
    [daemon.dataRoot, 0o711],
    [join(daemon.dataRoot, "gantry.db"), 0o600],
    [daemon.socket, 0o660],
    [join(daemon.dataRoot, "containers", target), 0o710],
    [log, 0o640],
    [join(daemon.execRoot, "containers", target), 0o700],
  ] as const;
  for (const [path, mode] of paths) {
    const before = statSync(path).mode & 0o777;
    chmodSync(path, 0o777);
    await isMended(`F20 ${path}: has mode 777; at most ${mode.toString(8)} is right`);
    chmodSync(path, before);
  }
  assert.deepEqual(await check(), []);
});

test("nothing of what was made by hand has harmed the container", async () => {
  assert.equal(await daemon.dockerOk(["exec", "target", "echo", "alive"]), "alive");
  assert.deepEqual(await check(), []);
});
