// What a daemon that starts again makes of what it finds: containers never noticed, no output is lost or doubled, ends are
// recorded as they were, and whatever belongs to nobody is gone.

import assert from "node:assert/strict";
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { TestDaemon } from "../support/daemon.ts";

const daemon = new TestDaemon();
before(() => daemon.start());
after(() => daemon[Symbol.asyncDispose]());

interface State {
  readonly Status: string;
  readonly ExitCode: number;
  readonly Pid: number;
  readonly FinishedAt: string;
  readonly StartedAt: string;
}

async function stateOf(name: string): Promise<State> {
  const answer = await daemon.api("GET", `/v1.51/containers/${name}/json`);
  assert.equal(answer.status, 200, answer.text);
  return (answer.json as { readonly State: State }).State;
}

async function findings(): Promise<unknown> {
  return (await daemon.api("GET", "/gantry/check")).json;
}

async function until(is: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + 30_000;
  while (!(await is())) {
    assert.ok(performance.now() < deadline, `never: ${is.toString()}`);
    await sleep(50);
  }
}

async function restartAfterKill(whileDown: () => Promise<void> = async () => {}): Promise<void> {
  await daemon.kill9();
  await whileDown();
  await daemon.start();
}

test("a running container is taken over: same process, all output, its end is seen", async () => {
  const script = "i=0; while [ $i -lt 60 ]; do echo line $i; i=$((i+1)); sleep 0.05; done; exit 5";
  await daemon.dockerOk(["run", "-d", "--name", "runner", "busybox", "sh", "-c", script]);
  const before = await stateOf("runner");
  await restartAfterKill(() => sleep(500));
  const state = await stateOf("runner");
  assert.deepEqual([state.Status, state.Pid, state.StartedAt], ["running", before.Pid, before.StartedAt]);
  assert.equal(await daemon.dockerOk(["wait", "runner"]), "5");
  const expected = Array.from({ length: 60 }, (_, n) => `line ${n}`).join("\n");
  assert.equal(await daemon.dockerOk(["logs", "runner"]), expected);
  await daemon.dockerOk(["rm", "runner"]);
});

test("an end that nobody saw is recorded with its code and its time", async () => {
  const id = await daemon.dockerOk(["run", "-d", "--name", "unseen", "busybox", "sh", "-c", "sleep 0.5; exit 6"]);
  const exitFile = join(daemon.dataRoot, "containers", id, "exit");
  await restartAfterKill(async () => {
    await until(async () => existsSync(exitFile));
    // The end's time is the shim's, not that of the daemon that reads it.
    await sleep(1_500);
  });
  const state = await stateOf("unseen");
  assert.deepEqual([state.Status, state.ExitCode, state.Pid], ["exited", 6, 0]);
  const ranMs = Date.parse(state.FinishedAt) - Date.parse(state.StartedAt);
  assert.ok(ranMs >= 400, `ran for ${ranMs} ms`);
  const writtenAt = statSync(exitFile).mtimeMs;
  assert.ok(Math.abs(Date.parse(state.FinishedAt) - writtenAt) < 1_000, `${state.FinishedAt}, written at ${writtenAt}`);
  await daemon.dockerOk(["rm", "unseen"]);
});

test("a container whose shim was killed is ended with 137, its processes too", async () => {
  await daemon.dockerOk(["run", "-d", "--name", "orphan", "busybox", "sleep", "100000"]);
  const { Pid } = await stateOf("orphan");
  await restartAfterKill(async () => {
    process.kill(shimOf(Pid), "SIGKILL");
    await sleep(200);
  });
  const state = await stateOf("orphan");
  assert.deepEqual([state.Status, state.ExitCode], ["exited", 137]);
  assert.equal(runs(Pid), false);
  assert.deepEqual(await findings(), []);
  await daemon.dockerOk(["rm", "orphan"]);
});

test("the same under a daemon that lives", async () => {
  await daemon.dockerOk(["run", "-d", "--name", "orphan", "busybox", "sleep", "100000"]);
  const { Pid } = await stateOf("orphan");
  process.kill(shimOf(Pid), "SIGKILL");
  assert.equal(await daemon.dockerOk(["wait", "orphan"]), "137");
  assert.equal(runs(Pid), false);
  await daemon.dockerOk(["start", "orphan"]);
  assert.equal((await stateOf("orphan")).Status, "running");
  await daemon.dockerOk(["rm", "-f", "orphan"]);
});

test("restart policies have their say: always and failures come back, what was stopped by hand does not", async () => {
  for (const [name, policy] of [
    ["ever", "always"],
    ["unless", "unless-stopped"],
    ["stopped", "unless-stopped"],
  ]) {
    await daemon.dockerOk(["run", "-d", "--name", name ?? "", `--restart=${policy}`, "busybox", "sleep", "100000"]);
  }
  await daemon.dockerOk(["stop", "-t", "0", "stopped"]);
  const pids = await Promise.all(["ever", "unless"].map(async (name) => (await stateOf(name)).Pid));
  await restartAfterKill(async () => {
    for (const pid of pids) process.kill(pid, "SIGKILL");
    await sleep(500);
  });
  for (const name of ["ever", "unless"]) await until(async () => (await stateOf(name)).Status === "running");
  assert.equal((await stateOf("stopped")).Status, "exited");
  await daemon.dockerOk(["rm", "-f", "ever", "unless", "stopped"]);
});

test("a container that removes itself does so though it ended unseen", async () => {
  await daemon.dockerOk(["run", "-d", "--rm", "--name", "fleeting", "busybox", "sleep", "0.3"]);
  await restartAfterKill(() => sleep(1_500));
  await until(async () => (await daemon.api("GET", "/v1.51/containers/fleeting/json")).status === 404);
});

test("a paused container stays paused and can be unpaused", async () => {
  await daemon.dockerOk(["run", "-d", "--name", "frozen", "busybox", "sleep", "100000"]);
  await daemon.dockerOk(["pause", "frozen"]);
  await restartAfterKill();
  assert.equal((await stateOf("frozen")).Status, "paused");
  await daemon.dockerOk(["unpause", "frozen"]);
  assert.equal((await stateOf("frozen")).Status, "running");
  await daemon.dockerOk(["rm", "-f", "frozen"]);
});

test("an exec that runs on is known by its id, with its end", async () => {
  await daemon.dockerOk(["run", "-d", "--name", "busy", "busybox", "sleep", "100000"]);
  const script = "while [ ! -e /go ]; do sleep 0.05; done; exit 8";
  const create = await daemon.api("POST", "/v1.51/containers/busy/exec", { Cmd: ["sh", "-c", script] });
  const { Id } = create.json as { readonly Id: string };
  assert.equal((await daemon.api("POST", `/v1.51/exec/${Id}/start`, { Detach: true })).status, 200);
  await restartAfterKill();
  const running = (await daemon.api("GET", `/v1.51/exec/${Id}/json`)).json as { readonly Running: boolean };
  assert.equal(running.Running, true);
  await daemon.dockerOk(["exec", "busy", "touch", "/go"]);
  const deadline = performance.now() + 10_000;
  for (;;) {
    const exec = (await daemon.api("GET", `/v1.51/exec/${Id}/json`)).json as { readonly ExitCode: number | null };
    if (exec.ExitCode !== null) {
      assert.equal(exec.ExitCode, 8);
      break;
    }
    assert.ok(performance.now() < deadline, "the exec did not end");
    await sleep(100);
  }
  await daemon.dockerOk(["rm", "-f", "busy"]);
});

test("what belongs to nobody is deleted at the start, and found by the check before", async () => {
  const id = "ab".repeat(32);
  const planted = [join(daemon.dataRoot, "containers", id), join(daemon.execRoot, "containers", id)];
  for (const path of planted) mkdirSync(path, { recursive: true });
  const found = (await findings()) as readonly { readonly invariant: string; readonly subject: string }[];
  assert.deepEqual(
    found.map(({ invariant, subject }) => `${invariant} ${subject}`).sort(),
    planted.map((path) => `F14 ${path}`).sort(),
  );
  await restartAfterKill();
  for (const path of planted) assert.equal(readdirSync(join(path, "..")).includes(id), false, path);
  assert.deepEqual(await findings(), []);
});

test("thirty running containers are all taken over, and none is doubled", async () => {
  const names = Array.from({ length: 30 }, (_, n) => `many${n}`);
  await Promise.all(names.map((name) => daemon.dockerOk(["run", "-d", "--name", name, "busybox", "sleep", "100000"])));
  const before = await Promise.all(names.map(async (name) => (await stateOf(name)).Pid));
  await restartAfterKill();
  const states = await Promise.all(names.map(stateOf));
  assert.deepEqual(
    states.map(({ Status, Pid }) => [Status, Pid]),
    before.map((pid) => ["running", pid]),
  );
  assert.deepEqual(await findings(), []);
  await daemon.dockerOk(["rm", "-f", ...names]);
});

/** A process that has ended may be a zombie for as long as the host's first process likes. */
function runs(pid: number): boolean {
  try {
    return !/^State:\tZ/m.test(readFileSync(`/proc/${pid}/status`, "utf8"));
  } catch {
    return false;
  }
}

/** The parent of a container's first process is its shim. */
function shimOf(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  return Number(/^PPid:\t(\d+)$/m.exec(status)?.[1]);
}

test("a limit that was changed behind the engine's back is found", async () => {
  const body = { Image: "busybox", Cmd: ["sleep", "100000"], HostConfig: { PidsLimit: 50, Memory: 20_000_001 } };
  const created = await daemon.api("POST", "/v1.51/containers/create?name=limited", body);
  const { Id } = created.json as { readonly Id: string };
  await daemon.dockerOk(["start", "limited"]);
  assert.deepEqual(await findings(), []);
  const file = ["/sys/fs/cgroup/pids", "/sys/fs/cgroup"]
    .map((mount) => join(mount, daemon.cgroupParent, Id, "pids.max"))
    .find((path) => existsSync(path));
  assert.ok(file !== undefined);
  writeFileSync(file, "60");
  assert.deepEqual(await findings(), [
    { invariant: "F9", subject: Id, detail: "PidsLimit is 60 in the kernel and 50 in the record", repaired: false },
  ]);
  await daemon.dockerOk(["rm", "-f", "limited"]);
});
