// A daemon that is killed while it makes a container, starts one or removes one: no volume is left over, none is lost, and none
// stays mounted that nobody uses.

import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
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

async function volumes(): Promise<readonly string[]> {
  return (await daemon.dockerOk(["volume", "ls", "-q"])).split("\n").filter((name) => name !== "");
}

/** Volumes that are mounted in the host's namespace. */
function mounted(): readonly string[] {
  return readFileSync("/proc/self/mountinfo", "utf8")
    .split("\n")
    .flatMap((line) => line.split(" ")[4] ?? [])
    .filter((path) => path.startsWith(`${daemon.dataRoot}/volumes/`));
}

/** Goes on with a daemon that has other failpoints; the one before may have been killed by its own. */
async function goOn(failpoints: string): Promise<void> {
  await daemon.kill9();
  await daemon.start({ GANTRY_FAILPOINTS: failpoints });
}

test("volumes are made, mounted and removed whole or not at all, wherever the daemon is killed", async () => {
  await daemon.dockerOk(["volume", "create", "-o", "type=tmpfs", "-o", "device=tmpfs", "memory"]);
  const memory = join(daemon.dataRoot, "volumes/memory/_data");
  await daemon.dockerOk(["create", "--name", "cut", "-v", "memory:/m", "busybox", "sleep", "1000"]);
  await daemon.dockerOk(["create", "--name", "gone", "-v", "/first", "-v", "/second", "busybox", "true"]);
  assert.equal((await volumes()).length, 3);

  await goOn("container.create.provided=error;container.start.volumes=kill9");
  const { stderr } = await daemon.docker(["create", "-v", "new:/bin", "-v", "/third", "busybox", "true"]);
  assert.match(stderr, /failpoint container.create.provided/);
  assert.equal((await volumes()).length, 3);
  assert.equal(existsSync(join(daemon.dataRoot, "volumes/new")), false);
  await daemon.docker(["start", "cut"]);
  assert.deepEqual(mounted(), [memory]);

  await goOn("container.create.provided=kill9");
  assert.deepEqual(mounted(), []);
  await daemon.docker(["create", "-v", "new:/bin", "-v", "/third", "busybox", "true"]);

  await goOn("container.remove.committed=kill9");
  assert.equal((await volumes()).length, 3);
  assert.equal(existsSync(join(daemon.dataRoot, "volumes/new")), false);
  await daemon.dockerOk(["start", "cut"]);
  await daemon.dockerOk(["exec", "cut", "touch", "/m/kept"]);
  await daemon.docker(["rm", "-v", "gone"]);

  await goOn("");
  assert.deepEqual(await volumes(), ["memory"]);
  // What runs keeps what it has mounted, and lets go of it at its end.
  assert.deepEqual(mounted(), [memory]);
  assert.equal(await daemon.dockerOk(["exec", "cut", "ls", "/m"]), "kept");
  await daemon.dockerOk(["stop", "-t", "0", "cut"]);
  const deadline = performance.now() + 10_000;
  while (mounted().length > 0 && performance.now() < deadline) await sleep(20);
  assert.deepEqual(mounted(), []);
  const found = await daemon.api("GET", "/gantry/check");
  assert.deepEqual(found.json, []);
});
