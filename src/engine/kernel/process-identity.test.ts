import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import type { Readable, Writable } from "node:stream";
import { test } from "node:test";
import { identifyProcess, isProcessAlive, parseProcessStat, readBootId, readProcessStat } from "./process-identity.ts";

const tail = "1 7 7 0 -1 4194304 100 0 0 0 1 2 3 4 20 0 1 0 98765432109 1000 200 18446744073709551615";

test("comm may hold spaces, parentheses and newlines", () => {
  assert.deepEqual(parseProcessStat(`42 (a) S 1 (b\n) c) Z ${tail}\n`), {
    pid: 42,
    comm: "a) S 1 (b\n) c",
    state: "Z",
    parentPid: 1,
    startTime: "98765432109",
  });
});

test("what is no stat is refused", () => {
  for (const text of ["", "42", "42 (x)", "42 (x) S 1 2", "x (x) S"]) {
    assert.throws(() => parseProcessStat(text), { kind: "InvalidParameter" }, JSON.stringify(text));
  }
});

test("this process is alive, and its parent is the one that Node names", () => {
  const identity = identifyProcess(process.pid);
  assert.ok(identity !== undefined);
  assert.equal(isProcessAlive(identity), true);
  assert.equal(readProcessStat(process.pid)?.parentPid, process.ppid);
});

test("another start time or another boot is another process", () => {
  const identity = identifyProcess(process.pid);
  assert.ok(identity !== undefined);
  assert.equal(isProcessAlive({ ...identity, startTime: `${identity.startTime}0` }), false);
  assert.equal(isProcessAlive({ ...identity, bootId: "00000000-0000-0000-0000-000000000000" }), false);
  assert.equal(isProcessAlive(identity, "00000000-0000-0000-0000-000000000000"), false);
});

test("a zombie is not alive, and a reaped process is not there", async () => {
  // The shell becomes a sleep that never waits for its child. Only then may the child end: a shell would reap it.
  const stdio = ["ignore", "pipe", "inherit", "pipe"] as const;
  const parent = spawn("sh", ["-c", "cat <&3 & echo $!; exec sleep 60"], { stdio: [...stdio] });
  const [chunk] = (await once(parent.stdout as Readable, "data")) as [Buffer];
  const zombie = Number(chunk.toString());
  await until(() => readProcessStat(parent.pid ?? 0)?.comm === "sleep");
  (parent.stdio[3] as Writable).end();
  await until(() => readProcessStat(zombie)?.state === "Z");
  const identity = identifyProcess(zombie);
  assert.ok(identity !== undefined);
  assert.equal(isProcessAlive(identity), false);
  parent.kill("SIGKILL");
  await once(parent, "close");
  assert.equal(identifyProcess(parent.pid ?? 0), undefined);
});

async function until(is: () => boolean): Promise<void> {
  const deadline = performance.now() + 20_000;
  while (!is() && performance.now() < deadline) await new Promise((resolve) => setTimeout(resolve, 5));
  assert.ok(is());
}

test("the boot id is a UUID", () => {
  assert.match(readBootId(), /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);
});
