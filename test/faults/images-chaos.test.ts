// kill -9 of the daemon while clients pull, push, load, save, tag, commit, prune and delete images that share layers. After each
// restart every name is what was acknowledged, every image is whole to the byte, and `system check` finds nothing; when all is
// deleted, nothing is left. CHAOS_KILLS sets the number of kills (15), SEED repeats a run.

import assert from "node:assert/strict";
import { randomInt } from "node:crypto";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { buildBundle } from "../support/bundle.ts";
import { startDaemon, type TestDaemon } from "../support/daemon.ts";
import { TestRegistry } from "../support/registry.ts";
import { randomFrom } from "./chaos-workload.ts";
import { ChaosClient, fillRegistry, verifyArchive } from "./images-chaos-clients.ts";

const kills = Number(process.env["CHAOS_KILLS"] ?? 15);
const seed = Number(process.env["SEED"] ?? randomInt(2 ** 31));
const clientCount = 4;

interface Listed {
  readonly Id: string;
}

async function images(daemon: TestDaemon): Promise<readonly string[]> {
  const answer = await daemon.api("GET", "/images/json?all=1");
  assert.equal(answer.status, 200, answer.text);
  return (answer.json as readonly Listed[]).map(({ Id }) => Id).sort();
}

async function assertWhole(daemon: TestDaemon, context: () => string): Promise<void> {
  const deadline = performance.now() + 10_000;
  for (;;) {
    const answer = await daemon.api("GET", "/gantry/check");
    assert.equal(answer.status, 200, answer.text);
    if ((answer.json as readonly unknown[]).length === 0) break;
    assert.ok(performance.now() < deadline, `${answer.text}\n${context()}`);
    await sleep(200);
  }
  for (const id of await images(daemon)) {
    const answer = await daemon.api("GET", `/images/${id}/get`);
    assert.equal(answer.status, 200, `${answer.text}\n${context()}`);
    verifyArchive(answer.bytes);
  }
}

/** What images take on disk; what was fetched for a pull that did not end may wait in content/ingest. */
function kept(daemon: TestDaemon): Readonly<Record<string, readonly string[]>> {
  const list = (path: string): readonly string[] => readdirSync(join(daemon.dataRoot, path)).sort();
  return { tmp: list("tmp"), blobs: list("content/blobs/sha256") };
}

test(`${kills} kills among images that come and go (SEED=${seed})`, {
  timeout: 60_000 + kills * 30_000,
}, async (t) => {
  using bundle = buildBundle();
  await using daemon = await startDaemon({ bundle: bundle.dir });
  await using registry = await TestRegistry.start({ netns: daemon.netns });
  const pullable = await fillRegistry(registry, clientCount);
  const created = await daemon.api("POST", "/containers/create?name=chaos", { Image: "busybox", Cmd: ["true"] });
  assert.equal(created.status, 201, created.text);
  const first = { images: await images(daemon), kept: kept(daemon) };
  const random = randomFrom(seed);
  const clients = Array.from({ length: clientCount }, (_, n) => new ChaosClient(daemon, registry, n, pullable));
  const verbs = new Map<string, { done: number; cut: number }>();
  const count = (verb: string, what: "done" | "cut"): void => {
    const counts = verbs.get(verb) ?? { done: 0, cut: 0 };
    counts[what]++;
    verbs.set(verb, counts);
  };
  for (let kill = 1; kill <= kills; kill++) {
    const stop = new AbortController();
    const context = (): string => `kill ${kill}, SEED=${seed}\n${daemon.log.slice(-6000)}`;
    const working = Promise.all(
      clients.map(async (client) => {
        const own = randomFrom(Math.floor(random() * 2 ** 31));
        while (!stop.signal.aborted) {
          try {
            count(await client.step(own), "done");
          } catch (error) {
            if (error instanceof assert.AssertionError || !stop.signal.aborted)
              throw error instanceof Error ? new Error(`${error.message}\n${context()}`, { cause: error }) : error;
            count(client.running, "cut");
          }
        }
      }),
    );
    await Promise.race([working, sleep(100 + random() * 1900)]).catch(() => {});
    stop.abort();
    await daemon.kill9();
    await working;
    await daemon.start();
    for (const client of clients) await client.compare(context);
    await assertWhole(daemon, context);
  }
  for (const client of clients) await client.clear();
  await daemon.api("POST", "/images/prune");
  assert.deepEqual({ images: await images(daemon), kept: kept(daemon) }, first, `SEED=${seed}`);
  const counts = [...verbs].map(([verb, { done, cut }]) => `${verb} ${done} (${cut} cut)`).join(", ");
  t.diagnostic(`SEED=${seed}: ${kills} kills: ${counts}`);
  assert.ok([...verbs.values()].some(({ cut }) => cut > 0));
});
