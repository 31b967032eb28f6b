// What a daemon makes of states that a test has to arrange: a start cut off, a reboot, a wiped run directory, damaged rows, a
// stopped or ending daemon, a dead spawner.

import assert from "node:assert/strict";
import { existsSync, readFileSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { buildBundle } from "../support/bundle.ts";
import { TestDaemon } from "../support/daemon.ts";

const bundle = buildBundle();
const daemon = new TestDaemon({ bundle: bundle.dir });
before(() => daemon.start());
after(async () => {
  await daemon[Symbol.asyncDispose]();
  bundle[Symbol.dispose]();
});

interface Inspected {
  readonly Id: string;
  readonly RestartCount: number;
  readonly State: {
    readonly Status: string;
    readonly ExitCode: number;
    readonly Pid: number;
    readonly StartedAt: string;
    readonly FinishedAt: string;
  };
}

async function inspect(name: string): Promise<Inspected> {
  const answer = await daemon.api("GET", `/containers/${name}/json`);
  assert.equal(answer.status, 200, answer.text);
  return answer.json as Inspected;
}

async function until<T>(what: string, ask: () => T | Promise<T>): Promise<NonNullable<T>> {
  const deadline = performance.now() + 30_000;
  for (;;) {
    const answer = await ask();
    if (answer !== undefined && answer !== null && answer !== false) return answer;
    assert.ok(performance.now() < deadline, `never: ${what}`);
    await sleep(30);
  }
}

/** Every process whose name or command line says that it is one of this daemon's, by what is in it. */
function processesWith(text: string): readonly number[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => {
      try {
        return readFileSync(`/proc/${pid}/cmdline`, "latin1").replaceAll("\0", " ").includes(text);
      } catch {
        return false;
      }
    })
    .map(Number);
}

function parentOf(pid: number): number {
  return Number(/^PPid:\t(\d+)$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]);
}

async function isHealthy(): Promise<void> {
  await until("system check finds nothing", async () => {
    const { json } = await daemon.api("GET", "/gantry/check");
    return (json as readonly unknown[]).length === 0;
  });
}

function run(name: string, ...rest: readonly string[]): Promise<string> {
  return daemon.dockerOk(["run", "-d", "--name", name, ...rest]);
}

test("a start that was cut off, and whose process ended unseen, has happened: once", async () => {
  await daemon.restart();
  const id = await daemon.dockerOk(["create", "--name", "cut", "busybox", "sh", "-c", "echo once; exit 6"]);
  await daemon.stop();
  await daemon.start({ GANTRY_FAILPOINTS: "container.start.ran=kill9" });
  assert.notEqual((await daemon.docker(["start", "cut"])).code, 0);
  await daemon.kill9();
  await until("the end is recorded", () => existsSync(join(daemon.dataRoot, "containers", id, "exit")));
  await until("the shim has left", () => !existsSync(join(daemon.execRoot, "containers", id, "shim.sock")));
  await daemon.start();
  const { Status, ExitCode } = (await inspect("cut")).State;
  assert.deepEqual([Status, ExitCode], ["exited", 6]);
  assert.equal(await daemon.dockerOk(["logs", "cut"]), "once");
  await daemon.dockerOk(["rm", "cut"]);
  await isHealthy();
});

test("after a reboot everything that ran has exited with 255, and policies have their say", async () => {
  const ids = [
    await run("plain", "busybox", "sleep", "100000"),
    await run("ever", "--restart=always", "busybox", "sleep", "100000"),
  ];
  const pids = await Promise.all(ids.map(async (id) => (await inspect(id)).State.Pid));
  const shims = pids.map(parentOf);
  await daemon.kill9();
  for (const pid of [...shims, ...pids]) process.kill(pid, "SIGKILL");
  rmSync(daemon.execRoot, { recursive: true, force: true });
  edit("UPDATE containers SET doc = json_set(doc, '$.state.init.bootId', '00000000-0000-0000-0000-000000000000')");
  await daemon.start();
  const { Status, ExitCode } = (await inspect("plain")).State;
  assert.deepEqual([Status, ExitCode], ["exited", 255]);
  await until("the policy starts it", async () => (await inspect("ever")).State.Status === "running");
  await daemon.dockerOk(["rm", "-f", "plain", "ever"]);
  await isHealthy();
});

/** Changes the database while no daemon has it. */
function edit(sql: string): void {
  const database = new DatabaseSync(join(daemon.dataRoot, "gantry.db"));
  try {
    database.exec(sql);
  } finally {
    database.close();
  }
}

test("a run directory that was wiped under running containers: they are ended, nothing is left", async () => {
  await run("wiped", "busybox", "sleep", "100000");
  const { Pid } = (await inspect("wiped")).State;
  await daemon.kill9();
  rmSync(join(daemon.execRoot, "containers"), { recursive: true, force: true });
  rmSync(join(daemon.execRoot, "runtime"), { recursive: true, force: true });
  await daemon.start();
  const { Status, ExitCode } = (await inspect("wiped")).State;
  assert.deepEqual([Status, ExitCode], ["exited", 137]);
  assert.equal(processesWith("sleep 100000").includes(Pid), false);
  await daemon.dockerOk(["start", "wiped"]);
  await daemon.dockerOk(["rm", "-f", "wiped"]);
  await isHealthy();
});

test("a damaged record is set aside; the other containers work, and its own goes on running", async () => {
  const bad = await run("bad", "busybox", "sleep", "100000");
  await run("good", "busybox", "sleep", "100000");
  const { Pid } = (await inspect("bad")).State;
  await daemon.kill9();
  const database = new DatabaseSync(join(daemon.dataRoot, "gantry.db"));
  const { doc } = database.prepare("SELECT doc FROM containers WHERE id = ?").get(bad) as { readonly doc: string };
  const put = database.prepare("UPDATE containers SET doc = ? WHERE id = ?");
  put.run('{"version":1,"config"', bad);
  database.close();
  await daemon.start();
  assert.equal((await inspect("good")).State.Status, "running");
  await daemon.dockerOk(["restart", "-t", "0", "good"]);
  assert.equal((await daemon.api("GET", "/containers/bad/json")).status, 404);
  assert.notEqual((await daemon.docker(["create", "--name", "bad", "busybox"])).code, 0);
  assert.equal(parentOf(Pid) > 1, true);
  assert.match(daemon.log, /a container's record is left out/);
  await daemon.stop();
  const mending = new DatabaseSync(join(daemon.dataRoot, "gantry.db"));
  mending.prepare("UPDATE containers SET doc = ? WHERE id = ?").run(doc, bad);
  mending.close();
  await daemon.start();
  assert.deepEqual([(await inspect("bad")).State.Status, (await inspect("bad")).State.Pid], ["running", Pid]);
  await daemon.dockerOk(["rm", "-f", "good", "bad"]);
  await isHealthy();
});

test("a container in its back-off is started again by the next daemon", async () => {
  await run("looping", "--restart=always", "busybox", "false");
  await until("some restarts", async () => (await inspect("looping")).RestartCount >= 4);
  await until("it waits", async () => (await inspect("looping")).State.Status === "restarting");
  const { RestartCount } = await inspect("looping");
  await daemon.kill9();
  await daemon.start();
  await until("more restarts", async () => (await inspect("looping")).RestartCount > RestartCount);
  await daemon.dockerOk(["rm", "-f", "looping"]);
  await isHealthy();
});

test("a terminal is there again for the next client, with its size", async () => {
  await daemon.dockerOk(["run", "-dit", "--name", "tty", "busybox", "sh"]);
  await daemon.kill9();
  await daemon.start();
  const resized = await daemon.api("POST", "/containers/tty/resize?h=33&w=101");
  assert.equal(resized.status, 200, resized.text);
  // The terminal of the shell: not that of the exec, which has none.
  assert.equal(await daemon.dockerOk(["exec", "tty", "stty", "size", "-F", "/proc/1/fd/0"]), "33 101");
  await daemon.dockerOk(["rm", "-f", "tty"]);
});

test("a daemon that is asked to end in the middle of requests ends in order, and containers go on", async () => {
  await run("going-on", "busybox", "sleep", "100000");
  const { Pid } = (await inspect("going-on")).State;
  const requests = [
    daemon.docker(["wait", "going-on"]),
    daemon.docker(["logs", "-f", "going-on"]),
    daemon.docker(["events"]),
    ...Array.from({ length: 5 }, () => daemon.docker(["run", "--rm", "busybox", "true"])),
  ];
  await sleep(200);
  assert.equal(await daemon.stop(), 0);
  await Promise.all(requests);
  await daemon.start();
  assert.deepEqual([(await inspect("going-on")).State.Status, (await inspect("going-on")).State.Pid], ["running", Pid]);
  await daemon.dockerOk(["rm", "-f", "going-on"]);
  await isHealthy();
});

test("containers write on while the daemon stands still, and no line is lost", async () => {
  const script = "i=0; while [ $i -lt 200 ]; do i=$((i+1)); echo line $i; sleep 0.01; done";
  await run("writer", "busybox", "sh", "-c", script);
  process.kill(daemon.pid, "SIGSTOP");
  try {
    await sleep(3000);
  } finally {
    process.kill(daemon.pid, "SIGCONT");
  }
  assert.equal(await daemon.dockerOk(["wait", "writer"]), "0");
  const expected = Array.from({ length: 200 }, (_, n) => `line ${n + 1}`).join("\n");
  assert.equal(await daemon.dockerOk(["logs", "writer"]), expected);
  await daemon.dockerOk(["rm", "writer"]);
});

test("a spawner that was killed is replaced", async () => {
  const [spawner] = processesWith(`spawner ${daemon.execRoot}`);
  assert.ok(spawner !== undefined);
  process.kill(spawner, "SIGKILL");
  await until("the daemon knows", () => daemon.log.includes("the shim spawner has ended"));
  assert.equal(await daemon.dockerOk(["run", "--rm", "busybox", "echo", "again"]), "again");
  await isHealthy();
});

test("a shim that stands still when the daemon comes back is woken, and its container taken over", async () => {
  await run("standing", "busybox", "sleep", "100000");
  const { Pid } = (await inspect("standing")).State;
  await daemon.kill9();
  process.kill(parentOf(Pid), "SIGSTOP");
  await daemon.start();
  const { State } = await inspect("standing");
  assert.deepEqual([State.Status, State.Pid], ["running", Pid]);
  await daemon.dockerOk(["rm", "-f", "standing"]);
  await isHealthy();
});
