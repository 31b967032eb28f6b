// Clients of builds that hang up, many that want the same, kills in the middle, and a cache with little room. The steps tell what was
// done: they write into a cache mount, which is read by a later step.

import assert from "node:assert/strict";
import { existsSync, readdirSync, readlinkSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { once } from "node:events";
import { classicBuild, contextOf, openBuild } from "../support/build-requests.ts";
import { cliArgv } from "../support/cli.ts";
import { startDaemon, type TestDaemon } from "../support/daemon.ts";
import { file } from "../support/tar.ts";

async function until(what: string, holds: () => boolean, timeoutMs = 15_000): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  while (!holds()) {
    if (performance.now() > deadline) assert.fail(`not in time: ${what}`);
    await sleep(20);
  }
}

function entries(...paths: readonly string[]): readonly string[] {
  return paths.flatMap((path) => (existsSync(path) ? readdirSync(path).map((name) => join(path, name)) : []));
}

/** Steps that run, and what builds have on disk while they last. */
function running({ execRoot, dataRoot }: TestDaemon): readonly string[] {
  return entries(join(execRoot, "steps"), join(dataRoot, "build/steps"), join(dataRoot, "tmp"));
}

/** The daemon's descriptors: sockets and files; what nobody has closed grows. */
function descriptors({ pid }: TestDaemon): readonly string[] {
  return readdirSync(`/proc/${pid}/fd`).flatMap((fd) => {
    try {
      return [readlinkSync(`/proc/${pid}/fd/${fd}`)];
    } catch {
      return [];
    }
  });
}

async function inUse(daemon: TestDaemon): Promise<readonly unknown[]> {
  const { json } = await daemon.api("GET", "/system/df?type=build-cache");
  const { BuildCache } = json as { readonly BuildCache: readonly { readonly InUse: boolean }[] | null };
  return (BuildCache ?? []).filter((one) => one.InUse);
}

const sleeper = (n: number): Buffer => contextOf(`FROM busybox\nRUN echo ${n}; sleep 100\n`);

describe("clients that hang up", () => {
  let daemon: TestDaemon;
  before(async () => {
    daemon = await startDaemon();
    assert.equal((await classicBuild(daemon, "", contextOf("FROM busybox\nRUN true\n"))).error, undefined);
  });
  after(() => daemon[Symbol.asyncDispose]());

  test("in the context or in RUN, through either door: the step ends at once and nothing of it is left", async () => {
    const scratch = mkdtempSync(join(tmpdir(), "gantry-hang-up-"));
    writeFileSync(join(scratch, "Dockerfile"), "FROM busybox\nRUN echo cli; sleep 100\n");
    await until("a quiet start", () => running(daemon).length === 0);
    const before = descriptors(daemon).length;
    for (let n = 0; n < 3; n++) {
      const upload = openBuild(daemon, "");
      upload.call.write(contextOf("FROM busybox\n", file("a", "a".repeat(1 << 20))).subarray(0, 300_000));
      await until("the context comes", () => running(daemon).some((path) => path.includes("/tmp/")));
      upload.call.destroy();
      await until("the context's end", () => running(daemon).length === 0, 5_000);

      const build = openBuild(daemon, "", sleeper(n));
      await until("the step runs", () => build.said().includes(`${n}\\n`) && running(daemon).length > 0);
      build.call.destroy();
      await until("the step's end", () => running(daemon).length === 0, 5_000);
    }
    const [program = "", ...args] = cliArgv();
    const cli = spawn(program, [...args, "-H", `unix://${daemon.socket}`, "build", "--progress", "plain", scratch], {
      stdio: ["ignore", "ignore", "pipe"],
    });
    let shown = "";
    cli.stderr.on("data", (chunk: Buffer) => (shown += chunk.toString()));
    await until("the CLI's step runs", () => /\d cli\n/.test(shown), 30_000);
    const gone = once(cli, "exit");
    cli.kill("SIGKILL");
    await gone;
    await until("the CLI's step ends", () => running(daemon).length === 0, 5_000);
    const deadline = performance.now() + 10_000;
    while (descriptors(daemon).length > before && performance.now() < deadline) await sleep(50);
    const open = descriptors(daemon);
    assert.ok(open.length <= before, `${before} descriptors before, now ${open.length}: ${open.join(" ")}`);
    assert.deepEqual(await inUse(daemon), []);
    rmSync(scratch, { recursive: true });
  });

  test("a step that another build waits for goes on, and that one gets it", async () => {
    const shared = contextOf(
      "FROM busybox\nRUN --mount=type=cache,target=/c echo one >> /c/shared; echo on; sleep 3\n",
    );
    const first = openBuild(daemon, "", shared);
    await until("the step runs", () => first.said().includes("on\\n"));
    const second = classicBuild(daemon, "", shared);
    await sleep(500);
    first.call.destroy();
    assert.equal((await second).error, undefined);
    const seen = await classicBuild(
      daemon,
      "",
      contextOf("FROM busybox\nRUN --mount=type=cache,target=/c echo times $(cat /c/shared | wc -l)\n"),
    );
    assert.match(seen.said, /times 1\n/);
  });

  test("30 identical builds at once: each step once, one image", { timeout: 100_000 }, async () => {
    const same = contextOf(
      "FROM busybox\nCOPY a /a\nRUN --mount=type=cache,target=/c,id=many echo x >> /c/a; sleep 1\nRUN --mount=type=cache,target=/c,id=many echo x >> /c/b\n",
      file("a", "a"),
    );
    const built = await Promise.all(Array.from({ length: 30 }, () => classicBuild(daemon, "", same)));
    assert.deepEqual([...new Set(built.map(({ error }) => error))], [undefined]);
    assert.equal(new Set(built.map(({ imageId }) => imageId)).size, 1);
    const seen = await classicBuild(
      daemon,
      "",
      contextOf("FROM busybox\nRUN --mount=type=cache,target=/c,id=many echo times $(wc -l < /c/a) $(wc -l < /c/b)\n"),
    );
    assert.match(seen.said, /times 1 1\n/);
    assert.deepEqual(await inUse(daemon), []);
    assert.deepEqual((await daemon.api("GET", "/gantry/check")).json, []);
  });
});

test("kill -9 in the middle of a build: the shim and the step end, finished steps are cached, tags are there", async () => {
  await using daemon = await startDaemon();
  const first = await classicBuild(daemon, "t=kept:1", contextOf("FROM busybox\nRUN echo kept > /kept\n"));
  const context = contextOf("FROM busybox\nRUN cat /proc/sys/kernel/random/uuid > /id\nRUN echo started; sleep 3\n");
  const build = openBuild(daemon, "", context);
  await until("the second step runs", () => build.said().includes("started\\n"));
  await daemon.kill9();
  await daemon.start();
  assert.deepEqual(running(daemon), []);
  assert.deepEqual((await daemon.api("GET", "/gantry/check")).json, []);
  const kept = (await daemon.api("GET", "/images/kept:1/json")).json as { readonly Id: string };
  assert.equal(kept.Id, first.imageId);
  const again = await classicBuild(daemon, "", context);
  assert.equal(again.error, undefined);
  assert.match(again.said, /Using cache[^]*Step 3\/3/);
});

test("a small cache never stays above its quota, and what was used last stays", { timeout: 100_000 }, async () => {
  const quota = 12 << 20;
  await using daemon = await startDaemon({
    config: { builder: { gc: { enabled: true, defaultKeepStorage: "12MiB" } } },
  });
  const fill = (n: number): Buffer =>
    contextOf(`FROM busybox\nRUN dd if=/dev/urandom of=/f bs=1M count=4 2>/dev/null && echo ${n}\n`);
  for (let n = 0; n < 6; n++) {
    assert.equal((await classicBuild(daemon, "", fill(n))).error, undefined);
    // Images without a name keep their layers; the cache's own bytes are what only it needs.
    await daemon.api("POST", "/images/prune");
    const { json } = await daemon.api("GET", "/system/df?type=build-cache");
    const { BuildCache } = json as {
      readonly BuildCache: readonly { readonly Size: number; readonly Shared: boolean }[] | null;
    };
    const bytes = (BuildCache ?? []).filter((one) => !one.Shared).reduce((sum, one) => sum + one.Size, 0);
    assert.ok(bytes <= quota, `${bytes} after build ${n}`);
  }
  assert.match((await classicBuild(daemon, "", fill(5))).said, /Using cache/);
  assert.doesNotMatch((await classicBuild(daemon, "", fill(0))).said, /Using cache/);
});
