// Standard streams, attach and the log: first bytes, exact positions, back-pressure, terminals, stdin, rotation.

import assert from "node:assert/strict";
import { existsSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import {
  all,
  collect,
  demux,
  endContainer,
  exitOf,
  logLines,
  readLog,
  runToEnd,
  started,
  until,
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

test("attach before run sees the first byte, every one of several clients, and then the end", async () => {
  const c = await world.spawn({ args: ["echo", "first"] });
  const clients = [];
  for (let i = 0; i < 5; i++) clients.push(collect((await c.shim.attach("init", { ...all, stdin: false })).duplex));
  await started(c.shim);
  for (const output of await Promise.all(clients)) assert.equal(demux(output).stdout.toString(), "first\n");
  await c.shim.gone;
});

test("a client gets the streams that it asks for", async () => {
  const c = await world.spawn({ args: ["sh", "-c", "echo o; echo e >&2"] });
  const out = collect((await c.shim.attach("init", { stdin: false, stdout: true, stderr: false })).duplex);
  const err = collect((await c.shim.attach("init", { stdin: false, stdout: false, stderr: true })).duplex);
  await started(c.shim);
  assert.deepEqual(
    [demux(await out), demux(await err)].map((d) => [d.stdout.toString(), d.stderr.toString()]),
    [
      ["o\n", ""],
      ["", "e\n"],
    ],
  );
  await c.shim.gone;
});

test("without stdin the container reads the end of file at once", async () => {
  const ran = await runToEnd(world, { args: ["sh", "-c", "cat; readlink /proc/self/fd/0"] });
  assert.equal(demux(ran.output).stdout.toString(), "/dev/null\n");
});

test("stdin is passed on; half-close ends it with stdinOnce, and output still comes", async () => {
  const c = await world.spawn({ args: ["sh", "-c", "cat; echo end"], stdin: true, stdinOnce: true });
  const { duplex } = await c.shim.attach("init", all);
  const output = collect(duplex);
  const big = "0123456789abcdef".repeat(40_000);
  duplex.write("before run\n"); // waits for the container
  await started(c.shim);
  duplex.write(`${big}\n`);
  duplex.end();
  assert.equal(demux(await output).stdout.toString(), `before run\n${big}\nend\n`);
  await c.shim.gone;
});

test("a client that disconnects right after writing has written, and ends stdin with stdinOnce", async () => {
  const c = await world.spawn({ args: ["sh", "-c", "sleep 0.1; cat; echo end"], stdin: true, stdinOnce: true });
  await started(c.shim);
  const { duplex } = await c.shim.attach("init", { stdin: true, stdout: false, stderr: false });
  const text = "x".repeat(150_000);
  await new Promise<void>((resolve) => duplex.end(text, () => resolve()));
  duplex.destroy();
  await exitOf(c.shim);
  assert.equal(
    readLog(c.logPath)
      .map(({ log }) => log)
      .join(""),
    `${text}end\n`,
  );
  await c.shim.gone;
});

test("without stdinOnce the end of a client's stdin ends that attachment alone", async () => {
  const c = await world.spawn({ args: ["cat"], stdin: true });
  await started(c.shim);
  const first = (await c.shim.attach("init", all)).duplex;
  const got = collect(first);
  first.end("one\n");
  assert.ok(demux(await got).stdout.toString().length <= 4);
  const second = (await c.shim.attach("init", all)).duplex;
  second.write("two\n");
  assert.match(await until(second, /two\n/), /two/);
  second.destroy();
  await endContainer(c);
});

test("a terminal: raw bytes, size from the start, CRLF, input, and no EIO before the end", async () => {
  const c = await world.spawn({
    args: ["sh", "-c", "stty size; sleep 0.05; read line; echo got $line; exit 5"],
    tty: true,
    stdin: true,
    consoleSize: [30, 100],
  });
  const { duplex } = await c.shim.attach("init", all);
  duplex.write("hello\n");
  const exit = exitOf(c.shim);
  const first = until(duplex, /30 100\r\n/);
  await started(c.shim);
  const before = await first;
  const text = before + (await collect(duplex)).toString();
  assert.match(text, /got hello\r\n/);
  assert.equal((await exit).exitCode, 5);
  assert.ok(readLog(c.logPath).every(({ stream }) => stream === "stdout"));
  await c.shim.gone;
});

test("a terminal's size changes with resize and the process is told", async () => {
  const c = await world.spawn({
    args: ["sh", "-c", "trap 'stty size; exit 0' WINCH; echo ready; while :; do sleep 0.02; done"],
    tty: true,
  });
  const { duplex } = await c.shim.attach("init", { ...all, stdin: false });
  const ready = until(duplex, /ready/);
  await started(c.shim);
  await ready;
  await c.shim.resize("init", 11, 22);
  assert.match((await collect(duplex)).toString(), /11 22\r\n/);
  await c.shim.gone;
});

test("log and live output meet exactly, whenever a client attaches", async () => {
  const c = await world.spawn({
    args: [
      "sh",
      "-c",
      "i=0; while [ $i -lt 4000 ]; do echo line $i; i=$((i+1)); [ $((i%100)) -gt 0 ] || sleep 0.002; done; printf last",
    ],
  });
  await started(c.shim);
  const seen = [];
  for (let i = 0; i < 12; i++) {
    const { duplex, position } = await c.shim.attach("init", { ...all, stdin: false, pending: true });
    assert.equal(position.generation, 0);
    seen.push({ position, live: collect(duplex) });
    await sleep(3);
  }
  await exitOf(c.shim);
  const log = readFileSync(c.logPath);
  const expected = `${Array.from({ length: 4000 }, (_, i) => `line ${i}\n`).join("")}last`;
  for (const { position, live } of seen) {
    const before = logLines(log.toString("utf8", 0, position.offset));
    const text = before.map(({ log }) => log).join("") + demux(await live).stdout.toString();
    assert.equal(text, expected);
  }
  await c.shim.gone;
});

test("the bytes of an incomplete line come first when they are asked for, and not otherwise", async () => {
  const c = await world.spawn({ args: ["sh", "-c", "echo whole; printf prompt; read x"], stdin: true });
  await started(c.shim);
  const early = await c.shim.attach("init", { ...all, stdin: false, pending: true });
  await until(early.duplex, /prompt/);
  early.duplex.destroy();
  const withPending = await c.shim.attach("init", { ...all, stdin: false, pending: true });
  const without = await c.shim.attach("init", { ...all });
  const [a, b] = [collect(withPending.duplex), collect(without.duplex)];
  assert.equal(withPending.position.offset, statSync(c.logPath).size);
  assert.equal(withPending.position.inode, statSync(c.logPath).ino);
  without.duplex.write("\n");
  assert.equal(demux(await a).stdout.toString(), "prompt");
  assert.equal(demux(await b).stdout.toString(), "");
  assert.deepEqual(
    readLog(c.logPath).map(({ log }) => log),
    ["whole\n", "prompt"],
  );
  await c.shim.gone;
});

test("the log is rotated as asked, no line is lost between the files that are kept", async () => {
  const ran = await runToEnd(world, {
    args: ["seq", "1", "3000"],
    log: { maxSizeBytes: 40_000, maxFiles: 20 },
  });
  const files = [];
  for (let i = 19; i > 0; i--) {
    const path = `${ran.container.logPath}.${i}`;
    if (!existsSync(path)) continue;
    files.push(readFileSync(path, "utf8"));
    assert.ok(statSync(path).size >= 40_000 && statSync(path).size < 40_200);
  }
  assert.ok(files.length > 3 && files.length < 19);
  files.push(readFileSync(ran.container.logPath, "utf8"));
  assert.deepEqual(
    files.flatMap(logLines).map(({ log }) => log),
    Array.from({ length: 3000 }, (_, i) => `${i + 1}\n`),
  );
});

test("lines over 16 KiB are split, invalid UTF-8 is replaced in the log and raw to clients", async () => {
  const ran = await runToEnd(world, {
    args: ["sh", "-c", "head -c 40000 /dev/zero; echo; printf 'a\\377\\303\\n'"],
  });
  assert.deepEqual(
    ran.log.map(({ log }) => log),
    ["\0".repeat(16384), "\0".repeat(16384), `${"\0".repeat(7232)}\n`, "a\ufffd\ufffd\n"],
  );
  assert.deepEqual(demux(ran.output).stdout.subarray(40_001), Buffer.from([0x61, 0xff, 0xc3, 0x0a]));
});

test("without a log nothing is kept and the container is not held up", async () => {
  const ran = await runToEnd(world, { args: ["seq", "1", "50000"], log: "none" });
  assert.equal(existsSync(ran.container.logPath), false);
  const nobody = await world.spawn({ args: ["seq", "1", "500000"], log: "none" });
  await started(nobody.shim);
  assert.equal((await exitOf(nobody.shim)).exitCode, 0);
  await nobody.shim.gone;
});

test("a client that never reads holds up the stream, not the commands; when it goes the container goes on", async () => {
  const c = await world.spawn({ args: ["sh", "-c", "yes | head -c 30000000; echo done >&2"], log: "none" });
  const { duplex } = await c.shim.attach("init", { ...all, stdin: false });
  duplex.pause();
  await started(c.shim);
  const exit = exitOf(c.shim);
  await sleep(300);
  const state = await c.shim.state();
  assert.ok(state.init !== undefined && state.exit === undefined, "back-pressure reaches the container");
  duplex.destroy();
  assert.equal((await exit).exitCode, 0);
  await c.shim.gone;
});

test("a slow client still gets everything after the container has ended, and nobody waits for it", async () => {
  const c = await world.spawn({ args: ["sh", "-c", "seq 1 200000 | head -c 1200000"], log: "none" });
  const { duplex } = await c.shim.attach("init", { ...all, stdin: false });
  duplex.pause();
  await started(c.shim);
  await sleep(200);
  // Take what blocks the container until it has written all, and no more.
  let taken = Buffer.alloc(0);
  const exit = exitOf(c.shim).then(() => true);
  while (!(await Promise.race([exit, sleep(20).then(() => false)]))) {
    const chunk: unknown = duplex.read();
    if (chunk instanceof Buffer) taken = Buffer.concat([taken, chunk]);
  }
  await c.shim.gone;
  const rest = await collect(duplex);
  const text = demux(Buffer.concat([taken, rest])).stdout.toString();
  assert.equal(text.length, 1_200_000);
  assert.match(text, /^1\n2\n3\n/);
});

test("a full disk does not stop the container", async () => {
  const options = world.prepare({ args: ["sh", "-c", "seq 1 100000; exit 6"] });
  const shim = await world.shims.spawn({ ...options, log: { path: "/dev/full", maxSizeBytes: 0, maxFiles: 1 } });
  const exit = exitOf(shim);
  await started(shim);
  assert.equal((await exit).exitCode, 6);
  await shim.gone;
});

test("an idle shim is small again after a burst", async () => {
  const c = await world.spawn({
    args: ["sh", "-c", "seq 1 300000; echo quiet >&2; sleep 1000"],
    log: { maxSizeBytes: 1_000_000, maxFiles: 1 },
  });
  const { duplex } = await c.shim.attach("init", { ...all, stdin: false });
  const quiet = until(duplex, /quiet/);
  await started(c.shim);
  await quiet;
  duplex.resume();
  const readPss = (): number =>
    Number(/^Pss:\s+(\d+)/m.exec(readFileSync(`/proc/${c.shim.identity.pid}/smaps_rollup`, "utf8"))?.[1]);
  const deadline = performance.now() + 20_000;
  while (readPss() >= 300 && performance.now() < deadline) await sleep(100);
  const pss = readPss();
  if (process.env["GANTRY_SHIM"] === undefined) assert.ok(pss < 300, `${pss} KiB`);
  duplex.destroy();
  await endContainer(c);
});

test("half a line that a crash left is cut before the log goes on", async () => {
  const options = world.prepare({ args: ["echo", "new"] });
  assert.ok(options.log !== undefined);
  const old = '{"log":"old\\n","stream":"stdout","time":"2026-01-01T00:00:00Z"}\n';
  writeFileSync(options.log.path, `${old}{"log":"ha`);
  const shim = await world.shims.spawn(options);
  await started(shim);
  await shim.gone;
  assert.deepEqual(
    readLog(join(options.log.path)).map(({ log }) => log),
    ["old\n", "new\n"],
  );
});
