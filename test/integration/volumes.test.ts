// Volumes of a daemon: what survives kill -9 at every step of making, filling and removing one, who uses them after a restart, what is
// mounted for how long, and what is told of them.

import assert from "node:assert/strict";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import type { Volume } from "../../src/spec/docker/volume.ts";
import { mountsUnder, readMounts } from "../../src/engine/kernel/mountinfo.ts";
import { buildBundle } from "../support/bundle.ts";
import { startDaemon, type ApiResult, type TestDaemon } from "../support/daemon.ts";
import { importImage } from "../support/image.ts";

/** It starts in a fraction of the time that the sources take. */
const bundle = buildBundle();
let daemon: TestDaemon;
const failpoints = (): string => join(daemon.dir, "failpoints");

before(async () => {
  daemon = await startDaemon({ bundle: bundle.dir });
  await importImage(daemon, "filled", (root) => {
    mkdirSync(join(root, "data"));
    for (const name of ["one", "two", "three"]) writeFileSync(join(root, "data", name), name);
  });
  await daemon.stop();
  writeFileSync(failpoints(), "");
  await daemon.start({ GANTRY_FAILPOINTS_FILE: failpoints() });
});

after(async () => {
  await daemon[Symbol.asyncDispose]();
  bundle[Symbol.dispose]();
});

function arm(text: string): void {
  writeFileSync(failpoints(), text);
}

async function restart(): Promise<void> {
  arm("");
  await daemon.start({ GANTRY_FAILPOINTS_FILE: failpoints() });
}

/** A request during which the daemon is killed; resolves when it is gone. */
async function killedAt(name: string, method: string, path: string, body?: unknown): Promise<void> {
  arm(`${name}=kill9`);
  await assert.rejects(daemon.api(method, path, body), `${name} was not met`);
  await daemon.kill9();
  await restart();
}

async function ok(status: number, method: string, path: string, body?: unknown): Promise<ApiResult> {
  const answer = await daemon.api(method, path, body);
  assert.equal(answer.status, status, `${method} ${path}: ${answer.text}`);
  return answer;
}

async function names(): Promise<readonly string[]> {
  const { json } = await ok(200, "GET", "/volumes");
  return (json as { readonly Volumes: readonly Volume[] }).Volumes.map(({ Name }) => Name);
}

const directory = (): string => join(daemon.dataRoot, "volumes");
const dataOf = (volume: string): string => join(directory(), volume, "_data");
const mounted = (): readonly string[] => mountsUnder(readMounts(), directory()).map(({ mountPoint }) => mountPoint);

async function until(what: string, holds: () => boolean): Promise<void> {
  const deadline = performance.now() + 10_000;
  while (!holds()) {
    assert.ok(performance.now() < deadline, what);
    await sleep(20);
  }
}

/** The check finds nothing of volumes, and nothing half made lies about. */
async function isWhole(context: string): Promise<void> {
  const { json } = await ok(200, "GET", "/gantry/check");
  const found = (json as readonly { readonly invariant: string }[]).filter(({ invariant }) =>
    ["F11", "F18"].includes(invariant),
  );
  assert.deepEqual(found, [], context);
  assert.deepEqual([...(await names())].toSorted(), readdirSync(directory()).toSorted(), context);
}

const create = (name: string, volume: string, more: object = {}): object => ({
  Image: "filled",
  Cmd: ["sleep", "100000"],
  StopSignal: "SIGKILL",
  HostConfig: { Binds: [`${volume}:/data`] },
  ...more,
  name,
});

async function run(name: string, volume: string): Promise<void> {
  await ok(201, "POST", `/containers/create?name=${name}`, create(name, volume));
  await ok(204, "POST", `/containers/${name}/start`);
}

const content = (path: string): readonly string[] => readdirSync(path).toSorted();
const image = ["one", "three", "two"];

describe("kill -9", () => {
  test("while a volume is made leaves all of it or nothing", async () => {
    for (const [name, isThere] of [
      ["volume.create.staged", false],
      ["volume.create.made", false],
      ["volume.create.committed", true],
    ] as const) {
      await killedAt(name, "POST", "/volumes/create", { Name: "made" });
      assert.deepEqual(await names(), isThere ? ["made"] : [], name);
      await isWhole(name);
      await ok(201, "POST", "/volumes/create", { Name: "made" });
      await ok(204, "DELETE", "/volumes/made");
    }
  });

  test("while a volume is removed removes it", async () => {
    for (const name of ["volume.remove.committed", "volume.remove.deleted"]) {
      await ok(201, "POST", "/volumes/create", { Name: "gone" });
      writeFileSync(join(dataOf("gone"), "file"), "x");
      await killedAt(name, "DELETE", "/volumes/gone");
      assert.deepEqual(await names(), [], name);
      await isWhole(name);
    }
  });

  test("while an empty volume is filled leaves it empty or full, on a directory and on a mount alike", async () => {
    const host = join(daemon.dir, "host");
    for (const options of [undefined, { type: "none", o: "bind", device: host }])
      for (const [name, isFull] of [
        ["volume.provide.copied", false],
        ["volume.provide.whole", true],
        ["volume.provide.moved", true],
      ] as const) {
        rmSync(host, { recursive: true, force: true });
        mkdirSync(host);
        const body = { Name: "filled", ...(options === undefined ? {} : { DriverOpts: options }) };
        await ok(201, "POST", "/volumes/create", body);
        await killedAt(name, "POST", "/containers/create?name=filler", create("filler", "filled"));
        const data = options === undefined ? dataOf("filled") : host;
        assert.deepEqual(content(data), isFull ? image : [], name);
        assert.deepEqual(mounted(), [], name);
        await isWhole(name);
        await ok(201, "POST", "/containers/create?name=filler", create("filler", "filled"));
        assert.deepEqual(content(data), image, name);
        await ok(204, "DELETE", "/containers/filler?v=1");
        await ok(204, "DELETE", "/volumes/filled");
      }
  });
});

test("a step that fails takes back what was made", async () => {
  for (const kind of ["error", "enospc"])
    for (const name of ["volume.create.staged", "volume.create.made"]) {
      arm(`${name}=${kind}`);
      const refused = await daemon.api("POST", "/containers/create?name=vain", create("vain", "vain"));
      arm("");
      assert.ok(refused.status >= 500, refused.text);
      assert.deepEqual(await names(), []);
      await isWhole(`${kind} at ${name}`);
    }
});

test("an option volume is mounted from the first user to the last, and a killed daemon forgets none of them", async () => {
  const options = { type: "tmpfs", device: "tmpfs", o: "size=1m" };
  await ok(201, "POST", "/volumes/create", { Name: "shared", DriverOpts: options });
  assert.deepEqual(mounted(), []);
  await run("first", "shared");
  writeFileSync(join(dataOf("shared"), "file"), "kept");
  await daemon.kill9();
  await restart();
  assert.deepEqual(mounted(), [dataOf("shared")]);
  const refused = await daemon.api("DELETE", "/volumes/shared?force=1");
  assert.equal(refused.status, 409);
  assert.match(refused.text, /remove shared: volume is in use - \[[0-9a-f]{64}\]/);
  await run("second", "shared");
  await ok(204, "DELETE", "/containers/first?force=1");
  assert.equal(readFileSync(join(dataOf("shared"), "file"), "utf8"), "kept");
  assert.deepEqual(mounted(), [dataOf("shared")]);
  await ok(204, "POST", "/containers/second/kill");
  await until("it is still mounted", () => mounted().length === 0);
  assert.equal((await daemon.api("DELETE", "/volumes/shared")).status, 409, "a stopped container has it");
  await ok(204, "DELETE", "/containers/second");
  await ok(204, "DELETE", "/volumes/shared");
});

test("a container that ended while there was no daemon no longer has its volume mounted", async () => {
  await ok(201, "POST", "/volumes/create", { Name: "left", DriverOpts: { type: "tmpfs", device: "tmpfs" } });
  await run("leaving", "left");
  const { json } = await ok(200, "GET", "/containers/leaving/json");
  await daemon.kill9();
  process.kill((json as { readonly State: { readonly Pid: number } }).State.Pid, "SIGKILL");
  assert.deepEqual(mounted(), [dataOf("left")]);
  await restart();
  await until("it is still mounted", () => mounted().length === 0);
  await ok(204, "DELETE", "/containers/leaving");
  await ok(204, "DELETE", "/volumes/left");
});

test("a data directory that was replaced by a link leads nowhere: not for a container, not for a removal", async () => {
  const outside = join(daemon.dir, "outside");
  mkdirSync(outside);
  writeFileSync(join(outside, "file"), "precious");
  await ok(201, "POST", "/volumes/create", { Name: "linked" });
  rmSync(dataOf("linked"), { recursive: true });
  symlinkSync(outside, dataOf("linked"));
  const refused = await daemon.api("POST", "/containers/create?name=linking", create("linking", "linked"));
  assert.equal(refused.status, 500, refused.text);
  assert.match(refused.text, /is no directory: somebody has changed it/);
  const { json } = await ok(200, "GET", "/gantry/check");
  assert.equal((json as readonly { readonly subject: string }[])[0]?.subject, "volume linked");
  await ok(204, "DELETE", "/volumes/linked");
  assert.equal(readFileSync(join(outside, "file"), "utf8"), "precious");
});

test("directories without a record are told, never touched", async () => {
  mkdirSync(join(directory(), "stranger"));
  const { json } = await ok(200, "GET", "/gantry/check");
  const told = (json as readonly { readonly subject: string }[]).map(({ subject }) => subject);
  assert.deepEqual(told, [join(directory(), "stranger")]);
  assert.equal((await daemon.api("POST", "/volumes/create", { Name: "stranger" })).status, 409);
  await daemon.kill9();
  await restart();
  assert.equal(existsSync(join(directory(), "stranger")), true);
  rmSync(join(directory(), "stranger"), { recursive: true });
});

test("df and prune know sizes, users and what is anonymous; events tell what happened", async () => {
  const since = Math.floor(Date.now() / 1000);
  await ok(201, "POST", "/volumes/create", { Name: "named", Labels: { keep: "" } });
  const { Name: anonymous } = (await ok(201, "POST", "/volumes/create", {})).json as Volume;
  await ok(201, "POST", "/volumes/create", { Name: "optioned", DriverOpts: { type: "tmpfs", device: "tmpfs" } });
  writeFileSync(join(dataOf(anonymous), "file"), "12345");
  await run("user", "named");
  const usage = (await ok(200, "GET", "/system/df?type=volume")).json as { readonly Volumes: readonly Volume[] };
  assert.deepEqual(Object.fromEntries(usage.Volumes.map(({ Name, UsageData }) => [Name, UsageData])), {
    [anonymous]: { RefCount: 0, Size: 5 },
    named: { RefCount: 1, Size: 11 },
  });
  assert.deepEqual((await ok(200, "POST", "/volumes/prune")).json, { VolumesDeleted: [anonymous], SpaceReclaimed: 5 });
  const all = encodeURIComponent('{"all":["1"]}');
  assert.deepEqual((await ok(200, "POST", `/volumes/prune?filters=${all}`)).json, {
    VolumesDeleted: [],
    SpaceReclaimed: 0,
  });
  await ok(200, "PUT", "/volumes/named", { Labels: { other: "1" } });
  assert.deepEqual(((await ok(200, "GET", "/volumes/named")).json as Volume).Labels, { other: "1" });
  await ok(204, "DELETE", "/containers/user?force=1");
  assert.deepEqual((await ok(200, "POST", "/v1.41/volumes/prune")).json, {
    VolumesDeleted: ["named"],
    SpaceReclaimed: 11,
  });
  await ok(204, "DELETE", "/volumes/optioned");
  const filters = encodeURIComponent('{"type":["volume"]}');
  const { text } = await ok(
    200,
    "GET",
    `/events?since=${since}&until=${Math.ceil(Date.now() / 1000)}&filters=${filters}`,
  );
  const events = text
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as { readonly Action: string; readonly Actor: { readonly ID: string } })
    .filter(({ Action, Actor }) => ["named", anonymous, "optioned", ""].includes(Actor.ID) || Action === "prune")
    .map(({ Action, Actor }) => `${Action} ${Actor.ID}`);
  assert.deepEqual(
    events.filter((event) => !/mount/.test(event)),
    [
      "create named",
      `create ${anonymous}`,
      "create optioned",
      `destroy ${anonymous}`,
      "prune ",
      "prune ",
      "destroy named",
      "prune ",
      "destroy optioned",
    ],
  );
});

test("twenty creates and removes of one name at once leave nothing half done", async () => {
  const answers = await Promise.all(
    Array.from({ length: 20 }, (_, i) =>
      i % 2 === 0
        ? daemon.api("POST", "/volumes/create", { Name: "contended" })
        : daemon.api("DELETE", "/volumes/contended?force=1"),
    ),
  );
  assert.deepEqual(new Set(answers.map(({ status }) => status)), new Set([201, 204]));
  await ok(204, "DELETE", "/volumes/contended?force=1");
  await isWhole("afterwards");
});
