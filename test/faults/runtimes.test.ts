// OCI runtimes that fail in every way, at each of run, exec and delete: refused, garbage, killed, hanging. Whatever happens, the
// daemon goes on, the container can be removed, its name is free, and nothing is left.

import assert from "node:assert/strict";
import { chmodSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { TestDaemon } from "../support/daemon.ts";

const daemon = new TestDaemon();
const program = join(daemon.dir, "faulty-runtime");
const modeFile = join(daemon.dir, "mode");

before(async () => {
  writeFileSync(
    program,
    [
      "#!/bin/sh",
      "# VERB=fault in the mode file makes that verb fail; everything else is crun's.",
      `mode=$(cat ${modeFile} 2>/dev/null)`,
      'for word in "$@"; do',
      "  case $word=$mode in",
      "    run=run=* | exec=exec=* | delete=delete=*)",
      "      case ${mode#*=} in",
      "        fail) echo 'refused for the test' >&2; exit 1 ;;",
      "        garbage) head -c 5000 /dev/urandom; head -c 5000 /dev/urandom >&2; exit 3 ;;",
      "        killed) kill -9 $$ ;;",
      "        nothing) exit 0 ;;",
      "        hang) sleep 100000 ;;",
      "      esac ;;",
      "  esac",
      "done",
      'exec crun "$@"',
      "",
    ].join("\n"),
  );
  chmodSync(program, 0o755);
  daemon.writeConfig({ runtimes: { faulty: { path: program } } });
  await daemon.start();
});
after(async () => {
  rmSync(modeFile, { force: true });
  await daemon[Symbol.asyncDispose]();
});

async function isClean(): Promise<void> {
  const deadline = performance.now() + 30_000;
  for (;;) {
    const { text, json } = await daemon.api("GET", "/gantry/check");
    if ((json as readonly unknown[]).length === 0) return;
    assert.ok(performance.now() < deadline, text);
    await sleep(100);
  }
}

async function create(): Promise<void> {
  const HostConfig = { Runtime: "faulty" };
  const body = { Image: "busybox", Cmd: ["sleep", "100000"], StopSignal: "SIGKILL", HostConfig };
  const answer = await daemon.api("POST", "/containers/create?name=faulty", body);
  assert.equal(answer.status, 201, answer.text);
}

async function removable(): Promise<void> {
  const answer = await daemon.api("DELETE", "/containers/faulty?force=1");
  assert.equal(answer.status, 204, answer.text);
  await isClean();
  // The daemon itself, and its spawner, are there.
  assert.deepEqual(
    daemon.leftovers().filter((line) => !/^process \d+: .*( spawner |gantryd)/.test(line)),
    [],
  );
}

for (const fault of ["fail", "garbage", "killed", "nothing"]) {
  test(`run: ${fault}`, async () => {
    await create();
    writeFileSync(modeFile, `run=${fault}`);
    const started = await daemon.api("POST", "/containers/faulty/start");
    rmSync(modeFile);
    assert.ok(started.status >= 400, `${started.status} ${started.text}`);
    const { State } = (await daemon.api("GET", "/containers/faulty/json")).json as {
      readonly State: { readonly Status: string; readonly Running: boolean; readonly Error: string };
    };
    assert.deepEqual([State.Status, State.Running], ["created", false]);
    assert.notEqual(State.Error, "");
    // It can be started when the runtime is right again.
    assert.equal((await daemon.api("POST", "/containers/faulty/start")).status, 204);
    await removable();
  });

  test(`exec: ${fault}`, async () => {
    await create();
    assert.equal((await daemon.api("POST", "/containers/faulty/start")).status, 204);
    const created = await daemon.api("POST", "/containers/faulty/exec", { Cmd: ["true"], AttachStdout: true });
    const { Id } = created.json as { readonly Id: string };
    writeFileSync(modeFile, `exec=${fault}`);
    const started = await daemon.api("POST", `/exec/${Id}/start`, { Detach: true });
    rmSync(modeFile);
    assert.ok(started.status >= 400, `${started.status} ${started.text}`);
    const exec = (await daemon.api("GET", `/exec/${Id}/json`)).json as { readonly Running: boolean };
    assert.equal(exec.Running, false);
    assert.equal(await daemon.dockerOk(["exec", "faulty", "echo", "works"]), "works");
    await removable();
  });

  test(`delete: ${fault}`, async () => {
    await create();
    assert.equal((await daemon.api("POST", "/containers/faulty/start")).status, 204);
    writeFileSync(modeFile, `delete=${fault}`);
    assert.equal((await daemon.api("POST", "/containers/faulty/stop")).status, 204);
    await removable();
    rmSync(modeFile);
  });
}

test("run: a runtime that hangs is ended when the container is removed", async () => {
  await create();
  writeFileSync(modeFile, "run=hang");
  const starting = daemon.api("POST", "/containers/faulty/start");
  await sleep(500);
  const removed = await Promise.race([
    daemon.api("DELETE", "/containers/faulty?force=1"),
    sleep(60_000, undefined, { ref: false }),
  ]);
  rmSync(modeFile);
  assert.ok(removed !== undefined, "the removal waits for the runtime");
  assert.ok([204, 409].includes(removed.status), removed.text);
  assert.ok((await starting).status >= 400);
  // Removed already, or what a refusal left: either way it goes.
  const again = await daemon.api("DELETE", "/containers/faulty?force=1");
  assert.ok([204, 404].includes(again.status), again.text);
  await isClean();
});

test("delete: a runtime that hangs keeps no container from being removed", async () => {
  await create();
  assert.equal((await daemon.api("POST", "/containers/faulty/start")).status, 204);
  writeFileSync(modeFile, "delete=hang");
  const removed = await Promise.race([
    daemon.api("DELETE", "/containers/faulty?force=1"),
    sleep(60_000, undefined, { ref: false }),
  ]);
  rmSync(modeFile);
  assert.equal(removed?.status, 204, removed?.text ?? "no answer");
  await isClean();
  // The daemon itself, and its spawner, are there.
  assert.deepEqual(
    daemon.leftovers().filter((line) => !/^process \d+: .*( spawner |gantryd)/.test(line)),
    [],
  );
});
