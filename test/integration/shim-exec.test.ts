// Execs: exit codes, streams, terminals, failures, and their end with the container.

import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { after, before, test } from "node:test";
import { isEngineError } from "../../src/base/errors.ts";
import { newExecId } from "../../src/base/ids.ts";
import {
  all,
  collect,
  demux,
  endContainer,
  execExitOf,
  execToEnd,
  prepareExec,
  started,
  until,
} from "./shim-client-side.ts";
import { type Container, ShimWorld } from "./shim-fixture.ts";

let world: ShimWorld;
let container: Container;
before(async () => {
  world = new ShimWorld();
  container = await world.spawn({ args: ["sleep", "1000"] });
  await started(container.shim);
});
after(async () => {
  await endContainer(container);
  await world.dispose();
});

test("exit code and both streams; attach before the start sees the first byte", async () => {
  const ran = await execToEnd(world, container, { args: ["sh", "-c", "echo o; echo e >&2; exit 9"] });
  assert.ok("code" in ran);
  const { stdout, stderr } = demux(ran.output);
  assert.deepEqual([ran.code, stdout.toString(), stderr.toString()], [9, "o\n", "e\n"]);
});

test("an exec's output is not in the container's log", async () => {
  await execToEnd(world, container, { args: ["echo", "secret"] });
  assert.equal((await container.shim.state()).exit, undefined);
  const position = (await container.shim.attach("init", { ...all, stdin: false })).position;
  assert.equal(position.offset, 0);
});

test("commands that cannot run: 127 and 126 with dockerd's words", async () => {
  const missing = await execToEnd(world, container, { args: ["nope"] });
  const directory = await execToEnd(world, container, { args: ["/etc"] });
  assert.deepEqual(
    [missing, directory],
    [
      {
        exitCode: 127,
        message:
          'OCI runtime exec failed: exec failed: unable to start container process: exec: "nope": executable file not found in $PATH',
      },
      {
        exitCode: 126,
        message:
          'OCI runtime exec failed: exec failed: unable to start container process: exec: "/etc": permission denied',
      },
    ],
  );
});

test("stdin ends with the client's half-close", async () => {
  const id = await prepareExec(world, container, { args: ["sh", "-c", "cat; echo end"], stdin: true });
  const { duplex } = await container.shim.attach(id, all);
  const output = collect(duplex);
  const exit = execExitOf(container.shim, id);
  assert.ok("pid" in (await container.shim.runExec(id)));
  duplex.end("text\n");
  assert.equal(demux(await output).stdout.toString(), "text\nend\n");
  assert.equal(await exit, 0);
});

// Not every runtime sets the size of an exec's terminal before the process runs; the shim sets it when the terminal arrives.
test("a terminal of an exec gets its own size and resizes", async () => {
  const id = await prepareExec(world, container, {
    args: ["sh", "-c", "until stty size | grep -q '20 70'; do sleep 0.01; done; echo sized; read x; stty size"],
    tty: true,
    stdin: true,
    consoleSize: [20, 70],
  });
  const { duplex } = await container.shim.attach(id, all);
  const first = until(duplex, /sized\r\n/);
  assert.ok("pid" in (await container.shim.runExec(id)));
  await first;
  await container.shim.resize(id, 21, 71);
  duplex.write("\n");
  assert.match((await collect(duplex)).toString(), /21 71\r\n$/);
});

test("a detached exec's output is discarded and does not hold it up", async () => {
  const id = await prepareExec(world, container, { args: ["sh", "-c", "seq 1 100000; exit 3"] });
  const exit = execExitOf(container.shim, id);
  assert.ok("pid" in (await container.shim.runExec(id)));
  assert.equal(await exit, 3);
});

test("its exit code is kept and told by state", async () => {
  const id = await prepareExec(world, container, { args: ["sh", "-c", "exit 11"] });
  const prepared = (await container.shim.state()).execs.find((exec) => exec.id === id);
  assert.deepEqual(prepared, { id, pid: 0, exitCode: undefined });
  const exit = execExitOf(container.shim, id);
  const result = await container.shim.runExec(id);
  await exit;
  assert.ok("pid" in result);
  assert.deepEqual(
    (await container.shim.state()).execs.find((exec) => exec.id === id),
    { id, pid: result.pid, exitCode: 11 },
  );
  assert.equal((await collect((await container.shim.attach(id, { ...all, stdin: false })).duplex)).length, 0);
});

test("kill reaches the exec, and says when it has ended", async () => {
  const id = await prepareExec(world, container, { args: ["sleep", "1000"] });
  const exit = execExitOf(container.shim, id);
  await container.shim.runExec(id);
  await container.shim.kill(id, 15);
  assert.equal(await exit, 143);
  await assert.rejects(container.shim.kill(id, 15), (error) => isEngineError(error, "NotFound"));
  await assert.rejects(container.shim.kill(newExecId(), 15), (error) => isEngineError(error, "NotFound"));
});

test("many at once each get their own code", async () => {
  const codes = await Promise.all(
    Array.from({ length: 12 }, async (_, i) => {
      const ran = await execToEnd(world, container, { args: ["sh", "-c", `echo ${i}; exit ${i}`] });
      assert.ok("code" in ran);
      assert.equal(demux(ran.output).stdout.toString(), `${i}\n`);
      return ran.code;
    }),
  );
  assert.deepEqual(codes, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]);
});

test("ended execs are kept in bounded number and without files or descriptors", async () => {
  const descriptors = (): number => readdirSync(`/proc/${container.shim.identity.pid}/fd`).length;
  await container.shim.state();
  const before = descriptors();
  for (let i = 0; i < 20; i++) await execToEnd(world, container, { args: ["true"] });
  await execToEnd(world, container, { args: ["nope"] });
  await container.shim.state(); // what follows the answer to a failed exec is done
  assert.equal(descriptors(), before);
  assert.deepEqual(
    readdirSync(container.options.runDir).filter((name) => name.startsWith("exec-")),
    [],
  );
});

test("an exec has no descriptor but 0, 1, 2 either", async () => {
  const ran = await execToEnd(world, container, { args: ["ls", "/proc/self/fd"] });
  assert.ok("code" in ran);
  assert.equal(demux(ran.output).stdout.toString(), "0\n1\n2\n3\n");
});

test("execs die with the container, are told, and none can be prepared after", async () => {
  const c = await world.spawn({ args: ["sleep", "1000"] });
  await started(c.shim);
  const id = await prepareExec(world, c, { args: ["sleep", "1000"] });
  const exit = execExitOf(c.shim, id);
  const { duplex } = await c.shim.attach(id, { ...all, stdin: false });
  const output = collect(duplex);
  await c.shim.runExec(id);
  await endContainer(c);
  assert.equal(await exit, 137);
  assert.equal((await output).length, 0);
  await assert.rejects(prepareExec(world, c, { args: ["true"] }), (error) => isEngineError(error, "Unavailable"));
});
