import assert from "node:assert/strict";
import { test } from "node:test";
import { readProcessStat } from "./process-identity.ts";
import { run, tryRun } from "./run.ts";

test("run resolves with stdout, having written the input", async () => {
  assert.equal(await run(["cat"], { input: "a\nb\n" }), "a\nb\n");
});

test("without input, stdin is empty and not the daemon's", async () => {
  assert.equal(await run(["cat"]), "");
});

test("a tool's failure names the command, the exit status and stderr", async () => {
  await assert.rejects(run(["sh", "-c", "echo broken >&2; exit 3"]), {
    name: "EngineError",
    kind: "System",
    message: "sh -c echo broken >&2; exit 3: exit status 3: broken",
  });
});

test("a tool ended by a signal is a failure that names the signal", async () => {
  await assert.rejects(run(["sh", "-c", "kill -SEGV $$"]), /killed by SIGSEGV$/);
});

test("tryRun resolves with the exit status", async () => {
  assert.deepEqual(await tryRun(["sh", "-c", "echo out; echo err >&2; exit 4"]), {
    exitCode: 4,
    signal: undefined,
    stdout: "out\n",
    stderr: "err\n",
  });
});

test("a missing program is named", async () => {
  await assert.rejects(run(["/nonexistent/tool"]), {
    kind: "System",
    message: "cannot run /nonexistent/tool: no such program; is it installed?",
  });
});

test("a tool that runs too long is a Deadline", async () => {
  await assert.rejects(run(["sleep", "60"], { timeoutMs: 50 }), {
    kind: "Deadline",
    message: "sleep 60: did not end within 50 ms",
  });
});

test("what the tool started is dead after the time-out", async () => {
  const dir = await run(["mktemp", "-d"]);
  const file = `${dir.trim()}/pid`;
  await assert.rejects(run(["sh", "-c", `sleep 60 & echo $! > ${file}; wait`], { timeoutMs: 300 }));
  const pid = Number(await run(["cat", file]));
  await run(["rm", "-r", dir.trim()]);
  assert.ok(pid > 0);
  for (let i = 0; i < 100 && !["Z", undefined].includes(readProcessStat(pid)?.state); i++) {
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  assert.ok(["Z", undefined].includes(readProcessStat(pid)?.state));
});

test("an aborted signal cancels, before and while the tool runs", async () => {
  await assert.rejects(run(["true"], { signal: AbortSignal.abort() }), { kind: "Cancelled" });
  const controller = new AbortController();
  const running = run(["sleep", "60"], { signal: controller.signal });
  controller.abort();
  await assert.rejects(running, { kind: "Cancelled" });
});

test("output beyond the limit is refused, not collected", async () => {
  await assert.rejects(run(["yes"], { maxOutputBytes: 1000 }), /wrote more than 1000 bytes to stdout/);
});

test("a tool gets PATH, LC_ALL and what it is given, nothing else of the daemon's environment", async () => {
  const names = (await run(["env"], { env: { EXTRA: "1" } })).split("\n").map((line) => line.split("=")[0] ?? "");
  assert.deepEqual(names.filter((name) => !["", "PWD", "SHLVL", "_"].includes(name)).sort(), [
    "EXTRA",
    "LC_ALL",
    "PATH",
  ]);
});

test("a tool that does not read its input still tells its exit status", async () => {
  assert.equal(await run(["true"], { input: "x".repeat(1 << 20) }), "");
});
