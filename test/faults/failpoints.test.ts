// Every failpoint in turn: the daemon is killed there, or the step fails there, in the middle of a container's life. Afterwards a
// daemon without failpoints must find nothing wrong, and every container must be removable and its name free again.

import assert from "node:assert/strict";
import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { TestDaemon } from "../support/daemon.ts";

const root = join(import.meta.dirname, "../..");

/** The names of all failpoints in the sources of one room. */
function failpointsIn(room: string): string[] {
  const names = new Set<string>();
  for (const file of globSync(`src/engine/${room}/**/*.ts`, {
    cwd: root,
    exclude: (path) => path.endsWith(".test.ts"),
  })) {
    for (const m of readFileSync(join(root, file), "utf8").matchAll(/failpoint\(\s*"([^"]+)"/g)) names.add(m[1] ?? "");
  }
  return [...names].sort();
}

const names = failpointsIn("containers");

/** A container's life through every verb; each answer may be an error, the connection may break. Returns the answers' texts. */
async function live(daemon: TestDaemon): Promise<string> {
  let said = "";
  const call = async (method: string, path: string, body?: unknown): Promise<{ readonly Id?: string }> => {
    const answer = await daemon.api(method, path, body);
    said += `${answer.text}\n`;
    return answer.json ?? {};
  };
  const config = { Image: "busybox", Cmd: ["sleep", "100000"], StopSignal: "SIGKILL" };
  await call("POST", "/containers/create?name=fp", config);
  await call("POST", "/containers/fp/start");
  const exec = await call("POST", "/containers/fp/exec", { Cmd: ["true"] });
  await call("POST", `/exec/${exec.Id}/start`, { Detach: true });
  await call("POST", "/containers/fp/stop");
  await call("POST", "/containers/fp/start");
  await call("DELETE", "/containers/fp?force=1");
  await call("POST", "/containers/create?name=fp", { ...config, Cmd: ["true"], HostConfig: { AutoRemove: true } });
  await call("POST", "/containers/fp/start");
  await sleep(100);
  return said;
}

async function answers(daemon: TestDaemon): Promise<boolean> {
  return daemon.api("GET", "/_ping").then(
    () => true,
    () => false,
  );
}

async function noFindings(daemon: TestDaemon, context: string): Promise<void> {
  const deadline = performance.now() + 10_000;
  for (;;) {
    const answer = await daemon.api("GET", "/gantry/check");
    const found = answer.json as readonly unknown[];
    if (answer.status === 200 && found.length === 0) return;
    if (performance.now() > deadline) assert.fail(`${context}: ${answer.text}\n${daemon.log.slice(-4000)}`);
    await sleep(100);
  }
}

test("there are failpoints between the steps of create, start, exec, stop and remove", () => {
  for (const verb of ["create", "start", "exec", "exit", "remove"]) {
    assert.ok(
      names.some((name) => name.includes(verb)),
      `no failpoint in ${verb}: ${names.join(", ")}`,
    );
  }
});

for (const kind of ["kill9", "error"]) {
  test(`${kind} at every failpoint leaves nothing behind`, { timeout: 600_000 }, async (t) => {
    const reached: string[] = [];
    // One data root for all: what one fault leaves would be found by the next.
    await using daemon = new TestDaemon({ fromSource: true });
    await daemon.start();
    await daemon.stop();
    for (const name of names) {
      const logged = daemon.log.length;
      const started = await daemon.start({ GANTRY_FAILPOINTS: `${name}=${kind}` }).then(
        () => true,
        () => false,
      );
      const said = started ? await live(daemon).catch(() => "") : "";
      const hit =
        kind === "kill9"
          ? !(await answers(daemon))
          : `${said}${daemon.log.slice(logged)}`.includes(`failpoint ${name}`);
      if (hit) reached.push(name);
      if (started) await daemon.kill9();
      await daemon.start();
      await noFindings(daemon, `${kind} at ${name}`);
      const removed = await daemon.api("DELETE", "/containers/fp?force=1");
      assert.ok(
        [204, 404].includes(removed.status),
        `${kind} at ${name}: remove answers ${removed.status} ${removed.text}`,
      );
      const again = await daemon.api("POST", "/containers/create?name=fp", { Image: "busybox", Cmd: ["true"] });
      assert.equal(again.status, 201, `${kind} at ${name}: the name is not free: ${again.text}`);
      assert.equal((await daemon.api("POST", "/containers/fp/start")).status, 204, `${kind} at ${name}: start`);
      assert.equal((await daemon.api("POST", "/containers/fp/wait")).status, 200);
      assert.equal((await daemon.api("DELETE", "/containers/fp")).status, 204, `${kind} at ${name}: remove`);
      await noFindings(daemon, `${kind} at ${name}, afterwards`);
      await daemon.stop();
    }
    t.diagnostic(`${reached.length} of ${names.length} failpoints reached with ${kind}`);
    assert.ok(reached.length * 2 > names.length, `only ${reached.length} reached: ${reached.join(", ")}`);
  });
}
