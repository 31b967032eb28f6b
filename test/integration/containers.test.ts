// A container's life over the API on the real kernel: what the room promises about order, output, ends and restart policies.

import assert from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { TestDaemon } from "../support/daemon.ts";
import { configOf, dockerArchive } from "../support/image-archives.ts";
import { file, tarOf } from "../support/tar.ts";

const daemon = new TestDaemon();
before(() => daemon.start());
after(() => daemon[Symbol.asyncDispose]());

interface Inspected {
  readonly State: {
    readonly Status: string;
    readonly Running: boolean;
    readonly ExitCode: number;
    readonly Error: string;
    readonly Pid: number;
    readonly FinishedAt: string;
  };
  readonly RestartCount: number;
  readonly Name: string;
}

async function inspect(name: string): Promise<Inspected> {
  return (await daemon.api("GET", `/v1.51/containers/${name}/json`)).json as Inspected;
}

async function until<T>(what: string, ask: () => Promise<T | undefined | false>): Promise<T> {
  const deadline = performance.now() + 20_000;
  for (;;) {
    const answer = await ask();
    if (answer !== undefined && answer !== false) return answer;
    if (performance.now() > deadline) throw new Error(`did not come true: ${what}`);
    await sleep(50);
  }
}

async function create(name: string, body: object): Promise<string> {
  const answer = await daemon.api("POST", `/v1.51/containers/create?name=${name}`, { Image: "busybox", ...body });
  assert.equal(answer.status, 201, answer.text);
  return (answer.json as { readonly Id: string }).Id;
}

async function post(path: string, status: number): Promise<string> {
  const answer = await daemon.api("POST", `/v1.51${path}`);
  assert.equal(answer.status, status, `${path}: ${answer.text}`);
  return (answer.json as { readonly message?: string } | undefined)?.message ?? "";
}

function remove(...names: readonly string[]): Promise<unknown> {
  return daemon.docker(["rm", "-f", ...names]);
}

test("docker run sees the first byte of a container that ends at once, and its exit code", async () => {
  for (let n = 0; n < 5; n++) {
    const { code, stdout } = await daemon.docker(["run", "--rm", "busybox", "sh", "-c", "echo first; exit 7"]);
    assert.deepEqual([code, stdout], [7, "first\n"]);
  }
});

test("the state decides: 304 for what is so already, 409 for what cannot be", async () => {
  const id = await create("verbs", { Cmd: ["sleep", "1000"] });
  await post("/containers/verbs/stop", 304);
  const notRunning = `container ${id} is not running`;
  assert.equal(await post("/containers/verbs/kill", 409), `cannot kill container: verbs: ${notRunning}`);
  assert.equal(await post("/containers/verbs/pause", 409), notRunning);
  assert.equal(await post("/containers/verbs/resize?h=1&w=1", 409), notRunning);
  await post("/containers/verbs/start", 204);
  await post("/containers/verbs/start", 304);
  await post("/containers/verbs/pause", 204);
  assert.equal(await post("/containers/verbs/pause", 409), `Container ${id} is already paused`);
  assert.equal(await post("/containers/verbs/start", 409), "cannot start a paused container, try unpause instead");
  const paused = await daemon.api("DELETE", "/v1.51/containers/verbs");
  assert.deepEqual(
    [paused.status, paused.json],
    [409, { message: 'cannot remove container "verbs": container is paused and must be unpaused first' }],
  );
  await post("/containers/verbs/unpause", 204);
  const running = await daemon.api("DELETE", "/v1.51/containers/verbs");
  const message =
    'cannot remove container "verbs": container is running: stop the container before removing or force remove';
  assert.deepEqual([running.status, running.json], [409, { message }]);
  await remove("verbs");
});

test("stop sends the container's stop signal first, and SIGKILL when the time is over", async () => {
  const trap = 'trap "exit 3" INT; trap "" TERM; echo ready; while :; do sleep 0.05; done';
  await create("polite", { Cmd: ["sh", "-c", trap], StopSignal: "SIGINT" });
  await create("deaf", { Cmd: ["sh", "-c", trap], StopTimeout: 1 });
  for (const name of ["polite", "deaf"]) {
    await post(`/containers/${name}/start`, 204);
    await until("the trap is set", async () => (await daemon.dockerOk(["logs", name])) === "ready");
  }
  await post("/containers/polite/stop", 204);
  assert.equal((await inspect("polite")).State.ExitCode, 3);
  await post("/containers/deaf/stop", 204);
  assert.equal((await inspect("deaf")).State.ExitCode, 137);
  await remove("polite", "deaf");
});

test("a stop that waits keeps nobody from looking or killing", async () => {
  await create("slow", { Cmd: ["sh", "-c", 'trap "" TERM; while :; do sleep 0.05; done'] });
  await post("/containers/slow/start", 204);
  await sleep(200);
  const stopping = post("/containers/slow/stop?t=-1", 204);
  await sleep(100);
  assert.equal((await inspect("slow")).State.Running, true);
  await post("/containers/slow/kill", 204);
  await stopping;
  assert.equal((await inspect("slow")).State.ExitCode, 137);
  await remove("slow");
});

test("a command that is missing is 127, one that cannot be run 126; the record says why, and nothing is left", async () => {
  for (const [command, code, reason] of [
    ["nope", 127, /exec: "nope": executable file not found in \$PATH$/],
    ["/etc/passwd", 126, /exec: "\/etc\/passwd": permission denied$/],
  ] as const) {
    await create("broken", { Cmd: [command] });
    assert.match(await post("/containers/broken/start", 400), reason);
    const { State } = await inspect("broken");
    assert.deepEqual([State.Status, State.ExitCode, State.Pid], ["created", code, 0]);
    assert.match(State.Error, reason);
    await remove("broken");
  }
  await create("gone", { Cmd: ["nope"], HostConfig: { AutoRemove: true } });
  await post("/containers/gone/start", 400);
  await until("automatic removal", async () => (await daemon.api("GET", "/v1.51/containers/gone/json")).status === 404);
});

test("wait: not-running at once, next-exit at the end, removed after the removal", async () => {
  await create("waited", { Cmd: ["sh", "-c", "sleep 0.5; exit 4"] });
  const wait = async (condition: string): Promise<unknown> =>
    (await daemon.api("POST", `/v1.51/containers/waited/wait?condition=${condition}`)).json;
  assert.deepEqual(await wait("not-running"), { StatusCode: 0 });
  const next = wait("next-exit");
  const removed = wait("removed");
  await post("/containers/waited/start", 204);
  assert.deepEqual(await wait("not-running"), { StatusCode: 4 });
  assert.deepEqual(await next, { StatusCode: 4 });
  await remove("waited");
  assert.deepEqual(await removed, { StatusCode: 4 });
});

test("an image of another platform gets a warning, unless that platform was asked for", async () => {
  const other = process.arch === "arm64" ? "amd64" : "arm64";
  const layer = tarOf(file("f", "x"));
  const config = configOf([layer], { architecture: other });
  const archive = dockerArchive([{ config, layers: [layer], tags: ["foreign:1"] }]);
  assert.equal((await daemon.api("POST", "/images/load", archive)).status, 200);
  const warnings = async (query: string): Promise<readonly string[]> => {
    const { json, text } = await daemon.api("POST", `/containers/create${query}`, { Image: "foreign:1", Cmd: ["/f"] });
    const { Id, Warnings } = json as { readonly Id?: string; readonly Warnings: readonly string[] };
    assert.ok(Id !== undefined, text);
    await daemon.api("DELETE", `/containers/${Id}`);
    return Warnings;
  };
  assert.match(
    (await warnings(""))[0] ?? "",
    new RegExp(`platform \\(linux/${other}\\) does not match the detected host`),
  );
  assert.deepEqual(await warnings(`?platform=linux/${other}`), []);
});

test("wait for the removal of a container that could not start says its code and no error: run --rm reports it once", async () => {
  const { code, stderr } = await daemon.docker(["run", "--rm", "busybox", "no-such-command"]);
  assert.equal(code, 127);
  assert.equal(stderr.split("executable file not found").length, 2, stderr);
});

test("restart policies: on-failure counts, a manual stop ends it, unless-stopped and always go on", async () => {
  await create("failing", {
    Cmd: ["false"],
    HostConfig: { RestartPolicy: { Name: "on-failure", MaximumRetryCount: 2 } },
  });
  await post("/containers/failing/start", 204);
  const failed = await until("two restarts", async () => {
    const found = await inspect("failing");
    return found.State.Status === "exited" && found.RestartCount === 2 && found;
  });
  assert.equal(failed.State.ExitCode, 1);
  await create("always", { Cmd: ["sleep", "1000"], HostConfig: { RestartPolicy: { Name: "always" } } });
  await post("/containers/always/start", 204);
  const { Pid } = (await inspect("always")).State;
  process.kill(Pid, "SIGKILL");
  await until("the restart", async () => {
    const { State } = await inspect("always");
    return State.Running && State.Pid !== 0 && State.Pid !== Pid;
  });
  await post("/containers/always/stop?t=0", 204);
  await sleep(500);
  assert.equal((await inspect("always")).State.Status, "exited");
  await remove("failing", "always");
});

test("a container between two starts is restarting, and kill calls the next one off", async () => {
  await create("flapping", { Cmd: ["false"], HostConfig: { RestartPolicy: { Name: "always" } } });
  await post("/containers/flapping/start", 204);
  await until("a long delay", async () => {
    const { State, RestartCount } = await inspect("flapping");
    return RestartCount >= 4 && State.Status === "restarting";
  });
  await post("/containers/flapping/start", 304);
  await post("/containers/flapping/kill", 204);
  assert.equal((await inspect("flapping")).State.Status, "exited");
  await post("/containers/flapping/kill", 409);
  await remove("flapping");
});

test("attach with logs gives all output once, while the container writes and its log rotates", async () => {
  // It writes, a hundred lines at a time, until every client is attached: an attachment to an ended container would wait.
  const dir = join(daemon.dir, "writer");
  mkdirSync(dir);
  await create("writer", {
    Cmd: [
      "sh",
      "-c",
      "i=0; while [ ! -e /d/go ]; do echo $i; i=$((i+1)); [ $((i % 100)) != 0 ] || sleep 0.01; done; echo $i",
    ],
    HostConfig: {
      Binds: [`${dir}:/d:ro`],
      LogConfig: { Type: "json-file", Config: { "max-size": "100k", "max-file": "500" } },
    },
  });
  await post("/containers/writer/start", 204);
  const path = "/v1.51/containers/writer/attach?logs=1&stream=1&stdout=1&stderr=1";
  const attaching = Array.from({ length: 4 }, async (_, n) => {
    await sleep(n * 60);
    return daemon.api("POST", path);
  });
  const filters = JSON.stringify({ event: ["attach"], container: ["writer"] });
  await until("four clients are attached", async () => {
    const now = Math.ceil((performance.timeOrigin + performance.now()) / 1000);
    const { text } = await daemon.api("GET", `/v1.51/events?since=${now - 600}&until=${now - 1}&filters=${filters}`);
    return text.split("\n").filter((line) => line !== "").length === 4;
  });
  writeFileSync(join(dir, "go"), "");
  const [first = "", ...others] = (await Promise.all(attaching)).map(({ bytes }) => textOfFrames(bytes));
  const lines = first.split("\n").slice(0, -1);
  assert.ok(lines.length > 100);
  assert.deepEqual(
    lines,
    lines.map((_, n) => String(n)),
  );
  for (const other of others) assert.ok(other === first);
  const logs = await daemon.api("GET", "/v1.51/containers/writer/logs?stdout=1");
  assert.ok(textOfFrames(logs.bytes) === first);
  await remove("writer");
});

test("a name can be given again as soon as its holder is gone, and not before", async () => {
  const id = await create("unique", { Cmd: ["true"] });
  const second = await daemon.api("POST", "/v1.51/containers/create?name=unique", { Image: "busybox" });
  assert.equal(second.status, 409);
  assert.match(second.text, new RegExp(`already in use by container \\\\"${id}\\\\"`));
  await post("/containers/unique/rename?name=other", 204);
  await create("unique", { Cmd: ["true"] });
  assert.equal((await inspect("other")).Name, "/other");
  await remove("other", "unique");
  await create("unique", { Cmd: ["true"] });
  await remove("unique");
});

test("of many that create one name, start one container or remove it, one succeeds and the others are told why", async () => {
  const created = await Promise.all(
    Array.from({ length: 8 }, () =>
      daemon.api("POST", "/v1.51/containers/create?name=race", { Image: "busybox", Cmd: ["sleep", "1000"] }),
    ),
  );
  assert.deepEqual(statuses(created), [201, ...Array.from({ length: 7 }, () => 409)]);
  const started = await Promise.all(
    Array.from({ length: 8 }, () => daemon.api("POST", "/v1.51/containers/race/start")),
  );
  assert.deepEqual(statuses(started), [204, ...Array.from({ length: 7 }, () => 304)]);
  const removed = await Promise.all(
    Array.from({ length: 4 }, () => daemon.api("DELETE", "/v1.51/containers/race?force=1")),
  );
  assert.equal(removed.filter(({ status }) => status === 204).length, 1);
  for (const { status } of removed) assert.ok([204, 404, 409].includes(status), String(status));
});

test("exec: exit code, refusal as output with 127, and an end with the container", async () => {
  await daemon.dockerOk(["run", "-d", "--name", "host", "busybox", "sleep", "1000"]);
  assert.equal((await daemon.docker(["exec", "host", "sh", "-c", "exit 9"])).code, 9);
  const missing = await daemon.docker(["exec", "host", "nope"]);
  assert.equal(missing.code, 127);
  assert.match(missing.stdout + missing.stderr, /exec: "nope": executable file not found in \$PATH/);
  const long = daemon.docker(["exec", "host", "sleep", "1001"]);
  await until("the exec runs", async () => (await daemon.dockerOk(["top", "host"])).includes("sleep 1001"));
  await remove("host");
  assert.equal((await long).code, 137);
});

test("execs can be inspected until their container goes, one that never ran until the container ends", async () => {
  await daemon.dockerOk(["run", "-d", "--name", "host", "busybox", "sleep", "1000"]);
  const create = async (body: object): Promise<string> => {
    const answer = await daemon.api("POST", "/v1.51/containers/host/exec", { Cmd: ["sh", "-c", "exit 3"], ...body });
    return (answer.json as { readonly Id: string }).Id;
  };
  const status = async (id: string): Promise<number> => (await daemon.api("GET", `/v1.51/exec/${id}/json`)).status;
  const ended = await create({ Tty: true, DetachKeys: "ctrl-a" });
  const idle = await create({ User: "0" });
  assert.equal((await daemon.api("POST", `/v1.51/exec/${ended}/start`, { Detach: true })).status, 200);
  const seen = await until("the end of the exec", async () => {
    const exec = (await daemon.api("GET", `/v1.51/exec/${ended}/json`)).json as Readonly<Record<string, unknown>>;
    return exec["ExitCode"] === 3 && exec;
  });
  const { ProcessConfig, DetachKeys } = seen;
  const process = { tty: true, entrypoint: "sh", arguments: ["-c", "exit 3"], privileged: false };
  assert.deepEqual({ ProcessConfig, DetachKeys }, { ProcessConfig: process, DetachKeys: "AQ==" });
  await daemon.dockerOk(["kill", "host"]);
  await until("the end of the container", async () => (await inspect("host")).State.Status === "exited");
  assert.deepEqual([await status(ended), await status(idle)], [200, 404]);
  await remove("host");
  assert.equal(await status(ended), 404);
});

test("namespaces are joined: network with its names, PID, and IPC with what is in /dev/shm", async () => {
  await daemon.dockerOk(["run", "-d", "--name", "donor", "--ipc=shareable", "busybox", "sleep", "1000"]);
  await daemon.dockerOk(["exec", "donor", "sh", "-c", "echo shared >/dev/shm/note"]);
  const joined = ["--network=container:donor", "--pid=container:donor", "--ipc=container:donor"];
  const script = "cat /dev/shm/note; hostname; cat /etc/hostname; tr '\\0' ' ' </proc/1/cmdline";
  const name = await daemon.dockerOk(["exec", "donor", "hostname"]);
  const seen = await daemon.dockerOk(["run", "--rm", ...joined, "busybox", "sh", "-c", script]);
  assert.deepEqual(seen.split("\n"), ["shared", name, name, "sleep 1000 "]);
  const closed = await daemon.docker(["run", "--rm", "--ipc=container:private", "busybox", "true"]);
  assert.match(closed.stderr, /No such container: private/);
  assert.deepEqual((await daemon.api("GET", "/gantry/check")).json, []);
  await remove("donor");
});

test("top shows the container's processes and no others", async () => {
  await daemon.dockerOk(["run", "-d", "--name", "topped", "busybox", "sh", "-c", "sleep 1001 & sleep 1002; true"]);
  const top = await until("both processes", async () => {
    const answer = (await daemon.api("GET", "/v1.51/containers/topped/top?ps_args=-o%20pid,args")).json as {
      readonly Processes: readonly (readonly string[])[];
    };
    return answer.Processes.length === 3 && answer;
  });
  const commands = top.Processes.map(([, args]) => args);
  const filters = JSON.stringify({ event: ["top"], container: ["topped"] });
  const events = await daemon.api("GET", `/v1.51/events?since=0&until=${(Date.now() + 50) / 1000}&filters=${filters}`);
  assert.match(events.text, /"Action":"top"/);
  assert.deepEqual(commands, ["sh -c sleep 1001 & sleep 1002; true", "sleep 1001", "sleep 1002"]);
  await remove("topped");
});

function statuses(answers: readonly { readonly status: number }[]): readonly number[] {
  return answers.map(({ status }) => status).sort((a, b) => a - b);
}

/** The payload of stdcopy frames. */
function textOfFrames(bytes: Buffer): string {
  const parts: Buffer[] = [];
  for (let at = 0; at + 8 <= bytes.length; ) {
    const length = bytes.readUInt32BE(at + 4);
    parts.push(bytes.subarray(at + 8, at + 8 + length));
    at += 8 + length;
  }
  return Buffer.concat(parts).toString();
}
