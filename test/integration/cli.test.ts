// The CLI against a real engine: streams, exit codes, signals, id files. The engine is gantryd (or GANTRY_TEST_HOST's).

import assert from "node:assert/strict";
import { once } from "node:events";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { type CliBench, startBench } from "../support/cli.ts";
import { type CommandResult, runCommand } from "../support/daemon.ts";

let bench: CliBench;
before(async () => {
  bench = await startBench();
});
after(async () => {
  await bench[Symbol.asyncDispose]();
});

async function remove(name: string): Promise<void> {
  await bench.gantry(["rm", "-f", name]);
}

test("run passes output on by stream and ends with the container's exit code", async () => {
  const { code, stdout, stderr } = await bench.gantry([
    "run",
    "--rm",
    "busybox",
    "sh",
    "-c",
    "echo a; echo b >&2; exit 7",
  ]);
  assert.deepEqual({ code, stdout, stderr }, { code: 7, stdout: "a\n", stderr: "b\n" });
});

test("run -i passes stdin on and the end of it", async () => {
  const input = "x".repeat(300_000);
  const { code, stdout } = await bench.gantry(["run", "--rm", "-i", "busybox", "sh", "-c", "cat; echo end"], { input });
  assert.equal(code, 0);
  assert.equal(stdout.length, input.length + 4);
  assert.ok(stdout.endsWith("xend\n"));
});

test("the launcher keeps Node's hands off --env-file: the file is the container's, and one that is missing is named", async () => {
  const launcher = join(import.meta.dirname, "../../bin/gantry");
  const file = join(bench.dir, "variables");
  writeFileSync(file, "FROM_FILE=1\nGANTRY_HOST=unix:///nowhere\n");
  const run = (path: string): Promise<CommandResult> =>
    runCommand([launcher, "run", "--rm", "--env-file", path, "busybox", "env"], { env: bench.env });
  const found = await run(file);
  assert.equal(found.code, 0, found.stderr);
  assert.match(found.stdout, /^FROM_FILE=1$/m);
  const missing = await run("/nonexistent");
  assert.equal(missing.code, 125);
  assert.match(missing.stderr, /^gantry: open \/nonexistent: no such file or directory\n/);
});

test("run -a stderr shows nothing of stdout", async () => {
  const args = ["run", "--rm", "-a", "stderr", "busybox", "sh", "-c", "echo a; echo b >&2"];
  const { stdout, stderr } = await bench.gantry(args);
  assert.equal(stderr, "b\n");
  assert.doesNotMatch(stdout, /a\n/);
});

test("a program that is missing is 127, one that cannot run 126, a refusal of the daemon 125", async () => {
  const hint = /\n\nRun 'gantry run --help' for more information\n$/;
  const missing = await bench.gantry(["run", "--rm", "busybox", "nope"]);
  assert.equal(missing.code, 127);
  assert.match(missing.stderr, /^gantry: Error response from daemon: .*executable file not found/s);
  assert.match(missing.stderr, hint);
  assert.equal((await bench.gantry(["run", "--rm", "busybox", "/etc"])).code, 126);
  const refused = await bench.gantry(["run", "--rm", "--name", "-bad", "busybox", "true"]);
  assert.equal(refused.code, 125);
  assert.match(refused.stderr, /^gantry: Error response from daemon: Invalid container name/);
});

test("a missing image is said as docker says it", async () => {
  const { code, stderr } = await bench.gantry(["run", "--rm", "no-such-image:x", "true"]);
  assert.equal(code, 125);
  assert.match(stderr, /^Unable to find image 'no-such-image:x' locally\ngantry: Error response from daemon: /);
  const never = await bench.gantry(["run", "--rm", "--pull", "never", "no-such-image:x", "true"]);
  assert.match(never.stderr, /^gantry: Error response from daemon: No such image: no-such-image:x/);
});

test("run -d prints the id, writes it to --cidfile, and exec, logs, stop, wait and rm work on it", async () => {
  const cidfile = join(bench.dir, "cid");
  const script = "trap 'exit 5' TERM; echo up; while :; do sleep 0.1; done";
  const args = ["run", "-d", "--name", "cli-d", "--cidfile", cidfile, "busybox", "sh", "-c", script];
  const { code, stdout, stderr } = await bench.gantry(args);
  assert.equal(code, 0, stderr);
  assert.match(stdout, /^[0-9a-f]{64}\n$/);
  assert.equal(readFileSync(cidfile, "utf8"), stdout.trim());
  const again = await bench.gantry(["run", "--cidfile", cidfile, "busybox", "true"]);
  assert.equal(again.code, 125);
  assert.match(again.stderr, /container ID file found/);
  const exec = await bench.gantry(
    ["exec", "-i", "-e", "A=1", "cli-d", "sh", "-c", "cat; echo $A; echo e >&2; exit 3"],
    {
      input: "in\n",
    },
  );
  assert.deepEqual([exec.code, exec.stdout, exec.stderr], [3, "in\n1\n", "e\n"]);
  assert.equal((await bench.gantry(["exec", "-d", "cli-d", "true"])).code, 0);
  for (let tries = 0; (await bench.gantry(["logs", "cli-d"])).stdout !== "up\n" && tries < 50; tries++) await sleep(50);
  assert.equal((await bench.gantry(["logs", "-n", "1", "cli-d"])).stdout, "up\n");
  assert.equal((await bench.gantry(["stop", "-t", "10", "cli-d"])).stdout, "cli-d\n");
  assert.equal((await bench.gantry(["wait", "cli-d"])).stdout, "5\n");
  const started = await bench.gantry(["start", "-a", "no-such-container"]);
  assert.deepEqual(
    [started.code, started.stderr],
    [1, "Error response from daemon: No such container: no-such-container\n"],
  );
  assert.deepEqual((await bench.gantry(["rm", "cli-d"])).stdout, "cli-d\n");
  assert.equal((await bench.gantry(["rm", "cli-d"])).stderr, "Error response from daemon: No such container: cli-d\n");
});

test("a signal to the CLI reaches the process, and its exit code comes back", async () => {
  const script = "trap 'echo got; exit 9' USR1; trap 'exit 8' TERM; echo ready; while :; do sleep 0.1; done";
  const child = bench.spawn(["run", "--rm", "--name", "cli-signal", "busybox", "sh", "-c", script]);
  let out = "";
  child.stdout?.on("data", (chunk: Buffer) => {
    out += chunk.toString();
    if (out === "ready\n") child.kill("SIGUSR1");
  });
  const [code] = (await once(child, "close")) as [number | null];
  assert.deepEqual([code, out], [9, "ready\ngot\n"]);
});

test("create, start -a -i and the exit code", async () => {
  try {
    await bench.gantry(["create", "-i", "--name", "cli-start", "busybox", "sh", "-c", "read x; echo got $x; exit 4"]);
    const { code, stdout } = await bench.gantry(["start", "-a", "-i", "cli-start"], { input: "this\n" });
    assert.deepEqual([code, stdout], [4, "got this\n"]);
    assert.match((await bench.gantry(["attach", "cli-start"])).stderr, /^You cannot attach to a stopped container/);
  } finally {
    await remove("cli-start");
  }
});

test("attach joins a running container and ends with its exit code", async () => {
  try {
    await bench.gantry([
      "run",
      "-d",
      "-i",
      "--name",
      "cli-attach",
      "busybox",
      "sh",
      "-c",
      "read x; echo got $x; exit 6",
    ]);
    const child = bench.spawn(["attach", "cli-attach"]);
    let out = "";
    child.stdout?.on("data", (chunk: Buffer) => (out += chunk.toString()));
    // stdin stays open: dockerd ends an attachment at the end of stdin, before the answer.
    child.stdin?.write("it\n");
    const [code] = (await once(child, "close")) as [number | null];
    assert.deepEqual([code, out], [6, "got it\n"]);
  } finally {
    await remove("cli-attach");
  }
});

test("labels and names with escape sequences do not reach the table", async () => {
  try {
    await bench.gantry(["create", "--name", "cli-escape", "-l", "evil=\x1b[31m\x07", "busybox", "\x1b]0;title\x07"]);
    const args = ["ps", "-a", "--no-trunc", "-f", "name=cli-escape", "--format", "table {{.Labels}}\t{{.Command}}"];
    const { stdout } = await bench.gantry(args);
    assert.match(stdout, /evil=\\x1b\[31m\\x07/);
    // oxlint-disable-next-line no-control-regex
    assert.doesNotMatch(stdout, /[\x1b\x07]/);
  } finally {
    await remove("cli-escape");
  }
});

test("the reader of a pipe may leave early", async () => {
  const child = bench.spawn(["run", "--rm", "busybox", "sh", "-c", "yes | head -c 2000000"]);
  child.stdout?.once("data", () => child.stdout?.destroy());
  const [code] = (await once(child, "close")) as [number | null];
  assert.notEqual(code, null);
});

test("load, tag, history, rmi and prune handle images", async () => {
  const missing = await bench.gantry(["load", "-i", join(bench.dir, "none.tar")]);
  assert.deepEqual([missing.code, /^open .*: no such file or directory\n$/.test(missing.stderr)], [1, true]);
  writeFileSync(join(bench.dir, "empty.tar"), Buffer.alloc(1024));
  const imported = await bench.gantry(["import", "-m", "hello", join(bench.dir, "empty.tar"), "cli-imported:x"]);
  assert.match(imported.stdout, /^sha256:[0-9a-f]{64}\n$/, imported.stderr);
  assert.match((await bench.gantry(["history", "cli-imported:x"])).stdout, /hello|Imported/);
  assert.equal((await bench.gantry(["tag", "cli-imported:x", "cli-other"])).code, 0);
  assert.equal((await bench.gantry(["images", "-q", "cli-other"])).stdout.length, 13);
  assert.equal((await bench.gantry(["rmi", "cli-other"])).stdout, "Untagged: cli-other:latest\n");
  assert.match((await bench.gantry(["rmi", "cli-imported:x"])).stdout, /^Untagged: cli-imported:x\nDeleted: sha256:/);
});

test("system check says that all is well", {
  skip: process.env["GANTRY_TEST_HOST"] === undefined ? false : "another engine has no invariants to check",
}, async () => {
  const healthy = { code: 0, stdout: "All invariants hold.\n", stderr: "" };
  assert.deepEqual(await bench.gantry(["system", "check"]), healthy);
  assert.deepEqual(await bench.gantry(["system", "check", "--repair"]), healthy);
  assert.deepEqual((await bench.gantry(["system", "check", "--format", "json"])).stdout, "");
});

test("a daemon that is not there is said, with exit code 1", async () => {
  const { code, stderr } = await bench.gantry(["-H", "unix:///nonexistent.sock", "ps"]);
  assert.equal(code, 1);
  assert.equal(stderr, "Cannot connect to the Gantry daemon at unix:///nonexistent.sock. Is gantryd running?\n");
  assert.match((await bench.gantry(["-H", "unix:///a", "-H", "unix:///b", "ps"])).stderr, /Specify only one -H/);
  assert.match((await bench.gantry(["-c", "other", "ps"])).stderr, /contexts are not supported/);
});
