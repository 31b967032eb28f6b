// Volumes while several clients want different things of them: containers being made with one that is removed or pruned, copies into what starts, a
// restore under a start, file systems of options under starts and stops. Nobody loses data, what is used is refused, and what is mounted
// is what is used. RACES_MS is how long (3 s), SEED repeats the choices.

import assert from "node:assert/strict";
import { randomInt } from "node:crypto";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { mountsUnder, readMounts } from "../../src/engine/kernel/mountinfo.ts";
import { buildBundle } from "../support/bundle.ts";
import { type ApiResult, startDaemon, type TestDaemon } from "../support/daemon.ts";
import { file, tarOf } from "../support/tar.ts";
import { randomFrom } from "./chaos-workload.ts";

const durationMs = Number(process.env["RACES_MS"] ?? 3000);
const seed = Number(process.env["SEED"] ?? randomInt(2 ** 31));

const bundle = buildBundle();
let daemon: TestDaemon;
before(async () => {
  daemon = await startDaemon({ bundle: bundle.dir });
});
after(async () => {
  await daemon[Symbol.asyncDispose]();
  bundle[Symbol.dispose]();
});

type Random = () => number;

function config(binds: readonly string[], more: object = {}): object {
  return {
    Image: "busybox",
    Cmd: ["sleep", "100000"],
    StopSignal: "SIGKILL",
    HostConfig: { NetworkMode: "none", Binds: binds, ...more },
  };
}

/** @throws AssertionError another answer than those */
async function ask(
  statuses: readonly number[],
  method: string,
  path: string,
  body?: object | Uint8Array,
): Promise<ApiResult> {
  const answer = await daemon.api(method, path, body);
  assert.ok(statuses.includes(answer.status), `${method} ${path}: ${answer.status} ${answer.text}`);
  return answer;
}

const dataOf = (volume: string): string => join(daemon.dataRoot, "volumes", volume, "_data");

function wordIn(volume: string): string {
  const path = join(dataOf(volume), "word");
  return existsSync(path) ? readFileSync(path, "utf8") : "";
}

const write = (container: string, word: string, statuses: readonly number[] = [200]): Promise<ApiResult> =>
  ask(statuses, "PUT", `/containers/${container}/archive?path=/etc`, tarOf(file("word", word)));

const remove = (container: string, statuses: readonly number[] = [204]): Promise<ApiResult> =>
  ask(statuses, "DELETE", `/containers/${container}?force=1&v=1`);

/** A little before or after what runs beside it. */
async function soon(random: Random, what: () => Promise<unknown>): Promise<void> {
  await sleep(random() * 30);
  await what();
}

/** A container is made with a volume that others remove: it has it, filled, or the removal came first and it has a new one. */
async function createAgainstRemove(random: Random): Promise<void> {
  const prune = "/volumes/prune?filters=%7B%22all%22%3A%5B%22true%22%5D%7D";
  await Promise.all([
    (async () => {
      await ask([201], "POST", "/containers/create?name=held", config(["held-data:/etc"]));
      await ask([200], "GET", "/volumes/held-data");
      assert.ok(existsSync(join(dataOf("held-data"), "passwd")), "held-data is not filled");
      await ask([409], "DELETE", "/volumes/held-data");
      await ask([200], "POST", prune);
      await ask([200], "GET", "/volumes/held-data");
      await remove("held");
    })(),
    soon(random, () => ask([204, 404, 409], "DELETE", "/volumes/held-data")),
    soon(random, () =>
      random() < 0.5 ? ask([200], "POST", prune) : ask([201], "POST", "/volumes/create", { Name: "held-data" }),
    ),
    soon(random, () => ask([204, 404, 409], "DELETE", "/volumes/held-data")),
  ]);
}

/** Two that want the same new volume have one, which was filled once and whole. */
async function createTwice(random: Random): Promise<void> {
  const create = (name: string): Promise<unknown> =>
    soon(random, () => ask([201], "POST", `/containers/create?name=${name}`, config(["twice-data:/etc"])));
  await Promise.all([create("twice-a"), create("twice-b")]);
  assert.deepEqual(
    readdirSync(dataOf("twice-data"))
      .filter((name) => ["group", "passwd", "shadow"].includes(name))
      .toSorted(),
    ["group", "passwd", "shadow"],
  );
  await Promise.all([remove("twice-a"), ask([409], "DELETE", "/volumes/twice-data")]);
  await remove("twice-b");
  // The prune of another worker may have been faster.
  await ask([204, 404], "DELETE", "/volumes/twice-data");
}

/** Whoever gets the volumes of a container that is being removed has them with what is in them. */
async function inheritAgainstRemove(random: Random): Promise<void> {
  await ask([201], "POST", "/containers/create?name=parent", config(["/etc"]));
  const word = `parent-${random()}`;
  await write("parent", word);
  let heir: ApiResult | undefined;
  await Promise.all([
    soon(random, () => remove("parent")),
    soon(random, async () => {
      heir = await ask(
        [201, 400, 404, 409],
        "POST",
        "/containers/create?name=heir",
        config([], { VolumesFrom: ["parent"] }),
      );
    }),
  ]);
  if (heir?.status !== 201) return;
  const { json } = await ask([200], "GET", "/containers/heir/json");
  const { Mounts } = json as { readonly Mounts: readonly { readonly Name: string }[] };
  assert.equal(Mounts.length, 1);
  const volume = Mounts[0]?.Name ?? "";
  assert.equal(wordIn(volume), word, "the heir's volume is another one");
  await remove("heir");
  await ask([404], "GET", `/volumes/${volume}`);
}

/** What is copied into a container that starts or ends is in its volume. */
async function copyAgainstStart(random: Random): Promise<void> {
  const [first, second] = [`first-${random()}`, `second-${random()}`];
  await ask([201], "POST", "/containers/create?name=copied", config(["copied-data:/etc"]));
  await Promise.all([
    soon(random, () => ask([204], "POST", "/containers/copied/start")),
    soon(random, () => write("copied", first)),
  ]);
  assert.equal(wordIn("copied-data"), first);
  await Promise.all([
    soon(random, () => ask([204], "POST", "/containers/copied/stop")),
    soon(random, () => write("copied", second)),
    soon(random, () => ask([200, 404], "GET", "/containers/copied/archive?path=/etc/word")),
  ]);
  assert.equal(wordIn("copied-data"), second);
  await remove("copied");
}

/** A volume that is restored, started with and refused to be removed has what the snapshot has. */
async function restoreAgainstStart(random: Random): Promise<void> {
  const word = `kept-${random()}`;
  const volume = "/volumes/restored-data";
  await ask([204], "DELETE", `${volume}?force=1`);
  await ask([201], "POST", "/containers/create?name=restored", config(["restored-data:/etc"]));
  await write("restored", word);
  await ask([201], "POST", `${volume}/snapshots`, { Name: "kept" });
  await write("restored", "changed");
  await Promise.all([
    soon(random, () => ask([200], "POST", `${volume}/restore?snapshot=kept&discard=1`)),
    soon(random, () => ask([204], "POST", "/containers/restored/start")),
    soon(random, () => ask([409], "DELETE", volume)),
    soon(random, () => ask([201], "POST", `${volume}/snapshots`, { Name: "beside" })),
  ]);
  assert.equal(wordIn("restored-data"), word);
  const removed: readonly Promise<unknown>[] = [
    soon(random, () => remove("restored")),
    soon(random, () => ask([200, 404], "POST", `${volume}/restore?snapshot=beside`)),
  ];
  await Promise.all([...removed, soon(random, () => ask([204, 404, 409], "DELETE", volume))]);
}

const optionUsers = ["option-a", "option-b", "option-c"];

/** A file system of options is mounted once while somebody uses it, and not at all afterwards. */
async function mountAgainstEnd(random: Random): Promise<void> {
  for (const user of optionUsers) await ask([304, 204], "POST", `/containers/${user}/stop`);
  await Promise.all(
    optionUsers.flatMap((user) => [
      soon(random, () => ask([204, 304], "POST", `/containers/${user}/${random() < 0.6 ? "start" : "stop"}`)),
      soon(random, () => ask([200, 404, 409], "GET", `/containers/${user}/archive?path=/option`)),
    ]),
  );
  const running: string[] = [];
  for (const user of optionUsers) {
    const { json } = await ask([200], "GET", `/containers/${user}/json`);
    if ((json as { readonly State: { readonly Running: boolean } }).State.Running) running.push(user);
  }
  const count = mountsUnder(readMounts(), dataOf("option-data")).length;
  assert.equal(count, running.length > 0 ? 1 : 0, `${running.join(", ") || "nobody"} uses it`);
}

test("clients that want different things of a volume at once lose nothing and leave nothing", async (t) => {
  const tmpfs = { type: "tmpfs", device: "tmpfs", o: "size=1m" };
  await ask([201], "POST", "/volumes/create", { Name: "option-data", DriverOpts: tmpfs });
  for (const user of optionUsers)
    await ask([201], "POST", `/containers/create?name=${user}`, config(["option-data:/option"]));
  const random = randomFrom(seed);
  const races = [
    createAgainstRemove,
    createTwice,
    inheritAgainstRemove,
    copyAgainstStart,
    restoreAgainstStart,
    mountAgainstEnd,
  ];
  const counts = new Map<string, number>();
  const end = performance.now() + durationMs;
  await Promise.all(
    races.map(async (race) => {
      const own = randomFrom(Math.floor(random() * 2 ** 31));
      do {
        await race(own).catch((error: unknown) => {
          throw new Error(`${race.name}, SEED=${seed}\n${daemon.log.slice(-3000)}`, { cause: error });
        });
        counts.set(race.name, (counts.get(race.name) ?? 0) + 1);
      } while (performance.now() < end);
    }),
  );
  for (const user of optionUsers) await remove(user);
  await ask([200], "POST", "/volumes/prune?filters=%7B%22all%22%3A%5B%22true%22%5D%7D");
  assert.deepEqual((await ask([200], "GET", "/gantry/check")).json, []);
  await ask([204], "DELETE", "/volumes/restored-data?force=1");
  assert.deepEqual(readdirSync(join(daemon.dataRoot, "volumes")), ["option-data"]);
  await ask([204], "DELETE", "/volumes/option-data");
  t.diagnostic(`SEED=${seed}: ${[...counts].map(([name, count]) => `${name} ${count}`).join(", ")}`);
});
