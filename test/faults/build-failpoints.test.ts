// Every failpoint of the builder in turn: the daemon is killed there, or the step fails there. Afterwards a daemon without failpoints
// finds nothing wrong, nothing of the build is left, what was finished is cached, and the same build works.

import assert from "node:assert/strict";
import { existsSync, globSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { type BuildAnswer, classicBuild, contextOf } from "../support/build-requests.ts";
import { buildBundle } from "../support/bundle.ts";
import { TestDaemon } from "../support/daemon.ts";
import { file } from "../support/tar.ts";

const root = join(import.meta.dirname, "../..");
const names = globSync("src/engine/build/**/*.ts", { cwd: root, exclude: (path) => path.endsWith(".test.ts") })
  .flatMap((path) => [...readFileSync(join(root, path), "utf8").matchAll(/failpoint\(\s*"([^"]+)"/g)])
  .map((match) => match[1] ?? "")
  .sort();
const kinds = (process.env["FAILPOINT_KINDS"] ?? "kill9,error").split(",");
const bundle = buildBundle();
after(() => bundle[Symbol.dispose]());

const prefix = "FROM busybox\nARG N\nRUN echo prefix $N > /prefix\n";
const whole = `${prefix}COPY a b /files/
RUN --mount=type=cache,target=/cache,id=c echo $N >> /cache/seen && ls -l /proc/1/exe > /made
`;
const context = contextOf(whole, file("a", "a"), file("b", "b"));
const files = ["tmp", "build/steps"] as const;

function build(daemon: TestDaemon, n: string): Promise<BuildAnswer> {
  return classicBuild(daemon, `t=fp:1&buildargs=${encodeURIComponent(JSON.stringify({ N: n }))}`, context);
}

async function noFindings(daemon: TestDaemon, why: string): Promise<void> {
  const deadline = performance.now() + 10_000;
  for (;;) {
    const answer = await daemon.api("GET", "/gantry/check");
    if (answer.status === 200 && (answer.json as readonly unknown[]).length === 0) return;
    if (performance.now() > deadline) assert.fail(`${why}: ${answer.text}\n${daemon.log.slice(-4000)}`);
    await sleep(100);
  }
}

/** What a build has while it runs, and nobody else. */
function remains(daemon: TestDaemon): readonly string[] {
  const left = files.flatMap((name) => {
    const directory = join(daemon.dataRoot, name);
    return existsSync(directory) ? readdirSync(directory).map((entry) => `${name}/${entry}`) : [];
  });
  const steps = join(daemon.execRoot, "steps");
  if (existsSync(steps)) left.push(...readdirSync(steps).map((entry) => `steps/${entry}`));
  return [
    ...left,
    ...daemon.leftovers().filter((line) => /gantry-shim [0-9a-f]{12}|\/step-|mount .*snapshots/.test(line)),
  ];
}

async function nothingRemains(daemon: TestDaemon, why: string): Promise<void> {
  const deadline = performance.now() + 5_000;
  while (remains(daemon).length > 0 && performance.now() < deadline) await sleep(50);
  assert.deepEqual(remains(daemon), [], why);
}

/** What is there before the fault: a step that is finished, and a container. The daemon runs, and does not afterwards. */
async function prepare(daemon: TestDaemon, n: string): Promise<void> {
  const first = await classicBuild(
    daemon,
    `buildargs=${encodeURIComponent(JSON.stringify({ N: n }))}`,
    contextOf(prefix),
  );
  assert.equal(first.error, undefined, `${n}: before it: ${first.error}`);
  const bystander = { Image: "busybox", Cmd: ["sleep", "1000"] };
  assert.equal((await daemon.api("POST", "/containers/create?name=bystander", bystander)).status, 201);
  assert.equal((await daemon.api("POST", "/containers/bystander/start")).status, 204);
  await daemon.stop();
}

/** One fault, and what a daemon without faults makes of it, which runs before and afterwards. Returns whether it was met. */
async function sweep(daemon: TestDaemon, name: string, kind: string): Promise<boolean> {
  const why = `${kind} at ${name}`;
  await prepare(daemon, why);
  const logged = daemon.log.length;
  await daemon.start({ GANTRY_FAILPOINTS: `${name}=${kind}` });
  const isOfPrune = /\.prune\.|forgotten/.test(name);
  let said = "";
  const answer = await build(daemon, why).catch(() => undefined);
  said += `${answer?.error ?? ""}\n`;
  if (isOfPrune) said += (await daemon.api("POST", "/build/prune?all=1").catch(() => undefined))?.text ?? "";
  const isAlive = await daemon.api("GET", "/_ping").then(
    () => true,
    () => false,
  );
  const met = kind === "kill9" ? !isAlive : `${said}${daemon.log.slice(logged)}`.includes(`failpoint ${name}`);
  if (isAlive) await nothingRemains(daemon, `${why}, at once`);
  await daemon.kill9();

  await daemon.start();
  await nothingRemains(daemon, why);
  await noFindings(daemon, why);
  const bystander = (await daemon.api("GET", "/containers/bystander/json")).json as { State: { Running: boolean } };
  assert.equal(bystander.State.Running, true, `${why}: a container ended`);
  const again = await build(daemon, why);
  assert.equal(again.error, undefined, `${why}: the next build: ${again.error}`);
  if (!isOfPrune)
    assert.match(again.said, /RUN echo prefix[^]*?Using cache[^]*?COPY/, `${why}: the cache of what was finished`);
  const once = await build(daemon, why);
  assert.equal(once.imageId, again.imageId, `${why}: cached as a whole`);
  assert.equal((await daemon.api("DELETE", "/containers/bystander?force=1")).status, 204);
  const pruned = await daemon.api("POST", "/build/prune?all=1");
  assert.equal(pruned.status, 200, `${why}: ${pruned.text}`);
  await noFindings(daemon, `${why}, afterwards`);
  return met;
}

describe("failpoints of the builder", { concurrency: 2 }, () => {
  for (const kind of kinds)
    test(`${kind} at every failpoint leaves nothing behind, and the next build works`, {
      timeout: 300_000,
    }, async () => {
      const reached: string[] = [];
      // One data root for all: what one fault leaves would be found by the next.
      await using daemon = new TestDaemon({ bundle: bundle.dir });
      await daemon.start();
      for (const name of names) if (await sweep(daemon, name, kind)) reached.push(name);
      if (!kind.startsWith("delay"))
        assert.deepEqual(
          names.filter((name) => !reached.includes(name)),
          [],
          "not met",
        );
    });
});
