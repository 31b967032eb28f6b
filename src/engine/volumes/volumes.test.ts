// The room on a store and a directory of its own; file systems are mounted in test/integration/volumes*.test.ts alone.

import assert from "node:assert/strict";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { EngineError } from "../../base/errors.ts";
import { newContainerId } from "../../base/ids.ts";
import { silentLogger } from "../../base/log.ts";
import { createEventBus } from "../events/bus.ts";
import type { Files } from "../files/index.ts";
import { openStore, type Store } from "../store/index.ts";
import type { DriverVolume, Trees, VolumeDriver, Volumes, VolumeWish } from "./index.ts";
import { beginOp as beginHistory, putOp as putHistory } from "./history-room.ts";
import { beginOp } from "./ops.ts";
import { createVolumes } from "./volumes.ts";

const never = (): Promise<never> => Promise.reject(new EngineError("System", "not asked for in these tests"));
const signal = new AbortController().signal;

/** Copies a file of the path's name; "/full" fills the disk, "/none" is not in the image. */
const trees: Trees = {
  clone: never,
  fill: async (_lower, path, destination) => {
    if (path === "/none") return false;
    writeFileSync(join(destination, "part"), "");
    if (path === "/full") throw Object.assign(new Error("ENOSPC"), { code: "ENOSPC" });
    writeFileSync(join(destination, "whole"), "");
    return true;
  },
  exchange: async (directory, fresh) => {
    for (const name of readdirSync(fresh)) renameSync(join(fresh, name), join(directory, name));
  },
  size: async (directory) => readdirSync(directory).length,
  isEmpty: async (directory) => readdirSync(directory).length === 0,
  remove: async (...directories) => {
    for (const directory of directories) rmSync(directory, { recursive: true, force: true });
  },
  removeIn: never,
  spread: () => Promise.resolve(),
};

const files: Files = { stat: never, pack: never, extract: never, changes: never };

/** A plugin that keeps names. */
function pluginNamed(name: string, volumes: Set<string>): VolumeDriver {
  const get = async (volume: string): Promise<DriverVolume> => {
    if (!volumes.has(volume)) throw new EngineError("NotFound", "no such volume");
    return { name: volume, mountpoint: "" };
  };
  return {
    name,
    scope: () => Promise.resolve("global"),
    create: async (volume) => void volumes.add(volume),
    remove: async (volume) => void volumes.delete(volume),
    get,
    list: async () => [...volumes].map((volume) => ({ name: volume, mountpoint: "" })),
    mount: never,
    unmount: never,
  };
}

class World {
  readonly dir = mkdtempSync(join(tmpdir(), "gantry-volumes-"));
  readonly users = new Map<string, string[]>();
  readonly plugin = new Set<string>();
  readonly store: Store;
  volumes: Volumes;

  private constructor(store: Store, dir: string) {
    this.dir = dir;
    this.store = store;
    this.volumes = this.open();
  }

  static async start(): Promise<World> {
    const dir = mkdtempSync(join(tmpdir(), "gantry-volumes-"));
    const world = new World(await openStore({ directory: dir, logger: silentLogger }), dir);
    await world.volumes.restore();
    await world.volumes.settle();
    return world;
  }

  /** As a daemon that starts. */
  open(): Volumes {
    const plugin = pluginNamed("plug", this.plugin);
    return createVolumes({
      store: this.store,
      trees,
      files,
      drivers: {
        get: async (name) => {
          if (name !== "plug") throw new EngineError("NotFound", `plugin "${name}" not found`);
          return plugin;
        },
        names: () => Promise.resolve(["plug"]),
      },
      users: {
        usersOf: (volume) =>
          (this.users.get(volume) ?? []).map((id) => ({ id: id as ReturnType<typeof newContainerId>, running: true })),
      },
      events: createEventBus(silentLogger),
      quotas: {
        unsupported: () => Promise.resolve("none here"),
        limit: never,
        share: () => Promise.resolve(),
        release: () => Promise.resolve(),
      },
      dataRoot: this.dir,
      copyPath: "/nonexistent",
      logger: silentLogger,
    });
  }

  /** Names of what is on disk. */
  get disk(): readonly string[] {
    return readdirSync(join(this.dir, "volumes")).toSorted();
  }

  content(volume: string): readonly string[] {
    return readdirSync(join(this.dir, "volumes", volume, "_data")).toSorted();
  }

  async names(): Promise<readonly string[]> {
    return (await this.volumes.list(new Map())).Volumes.map(({ Name }) => Name);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.store.close();
    rmSync(this.dir, { recursive: true, force: true });
  }
}

function wish(name: string | undefined, more: Partial<VolumeWish> = {}): VolumeWish {
  return { name, driver: "", options: {}, labels: {}, fill: undefined, ...more };
}

const full = { lower: ["/layer"], path: "/full" };
const some = { lower: ["/layer"], path: "/some" };

test("volumes of a container are true with its commit, and an anonymous one has a name of its own and a label", async () => {
  await using world = await World.start();
  using provided = await world.volumes.provide([wish("named", { fill: some }), wish(undefined)], signal);
  const [named, anonymous] = provided.volumes;
  assert.equal(named?.mountpoint, join(world.dir, "volumes/named/_data"));
  assert.match(anonymous?.name ?? "", /^[0-9a-f]{64}$/);
  assert.deepEqual(await world.names(), []);
  await world.store.commit(provided.changes);
  provided.committed();
  assert.deepEqual((await world.volumes.inspect(anonymous?.name ?? "")).Labels, { "com.docker.volume.anonymous": "" });
  assert.equal((await world.volumes.inspect("named")).Labels, null);
  assert.deepEqual(world.content("named"), ["part", "whole"]);
  assert.deepEqual(await world.store.load("ops"), []);
});

test("what is undone leaves nothing, and the name is free", async () => {
  await using world = await World.start();
  {
    using provided = await world.volumes.provide([wish("one"), wish("two", { driver: "plug" })], signal);
    assert.deepEqual([...world.plugin], ["two"]);
    await provided.undo();
  }
  assert.deepEqual([world.disk, [...world.plugin], await world.store.load("ops")], [[], [], []]);
  await world.volumes.create({ Name: "one" }, signal);
});

test("a full disk while filling leaves new volumes nowhere and an old one empty", async () => {
  await using world = await World.start();
  await world.volumes.create({ Name: "old" }, signal);
  for (const wishes of [
    [wish("old", { fill: some }), wish("new", { fill: full })],
    [wish("new", { fill: some }), wish("old", { fill: full })],
  ])
    await assert.rejects(world.volumes.provide(wishes, signal), { kind: "Unavailable" });
  assert.deepEqual([world.disk, world.content("old"), await world.store.load("ops")], [["old"], [], []]);
});

test("only an empty volume is filled, and only with what the image has", async () => {
  await using world = await World.start();
  await world.volumes.create({ Name: "old" }, signal);
  for (const [path, expected] of [
    ["/none", []],
    ["/some", ["part", "whole"]],
    ["/full", ["part", "whole"]],
  ] as const) {
    using _provided = await world.volumes.provide([wish("old", { fill: { lower: ["/layer"], path } })], signal);
    assert.deepEqual(world.content("old"), expected, path);
  }
  assert.deepEqual(world.disk, ["old"]);
});

test("two wishes for one name are one volume, and volumes in opposite orders do not wait for each other for ever", async () => {
  await using world = await World.start();
  const make = async (...names: readonly string[]): Promise<void> => {
    using provided = await world.volumes.provide(
      names.map((name) => wish(name)),
      signal,
    );
    if (provided.changes.length > 0) await world.store.commit(provided.changes);
    provided.committed();
  };
  await Promise.all([make("aa", "bb", "aa"), make("bb", "aa"), make("bb", "cc"), make("cc", "aa")]);
  assert.deepEqual(await world.names(), ["aa", "bb", "cc"]);
});

test("a volume that a container is being made of is removed after that, or refused because of it", async () => {
  await using world = await World.start();
  await world.volumes.create({ Name: "held" }, signal);
  const provided = await world.volumes.provide([wish("held")], signal);
  const removing = world.volumes.remove("held", false);
  let settled = false;
  void removing.catch(() => {}).finally(() => (settled = true));
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(settled, false);
  assert.deepEqual((await world.volumes.prune(new Map([["all", ["1"]]]))).VolumesDeleted, []);
  const id = newContainerId();
  world.users.set("held", [id]);
  provided.committed();
  provided[Symbol.dispose]();
  await assert.rejects(removing, { kind: "Conflict", message: `remove held: volume is in use - [${id}]` });
  world.users.clear();
  await world.volumes.remove("held", false);
  assert.deepEqual(world.disk, []);
});

test("a name that another driver has is refused; without a driver it is that one's", async () => {
  await using world = await World.start();
  await world.volumes.create({ Name: "mine" }, signal);
  await assert.rejects(world.volumes.create({ Name: "mine", Driver: "plug" }, signal), {
    kind: "Conflict",
    message: "create mine: driver 'local' already has volume 'mine': volume name must be unique",
  });
  world.plugin.add("theirs");
  assert.equal((await world.volumes.inspect("theirs")).Driver, "plug");
  assert.equal((await world.volumes.create({ Name: "theirs" }, signal)).Driver, "plug");
  assert.equal((await world.volumes.inspect("theirs")).Scope, "global");
  await assert.rejects(world.volumes.create({ Name: "x1", Driver: "gone" }, signal), {
    kind: "NotFound",
    message: 'create x1: error looking up volume plugin gone: plugin "gone" not found',
  });
  await world.volumes.remove("theirs", false);
  assert.deepEqual([...world.plugin], []);
});

test("an undo never removes a plugin's volume that was there before", async () => {
  await using world = await World.start();
  world.plugin.add("theirs");
  using provided = await world.volumes.provide([wish("theirs", { driver: "plug" })], signal);
  await provided.undo();
  assert.deepEqual([...world.plugin], ["theirs"]);
});

test("a daemon that starts has its volumes, sweeps what is half made, and tells what is no volume's", async () => {
  await using world = await World.start();
  await world.volumes.create({ Name: "kept", Labels: { a: "b" } }, signal);
  for (const name of [".new-x/fresh", ".old-x", "stranger"])
    mkdirSync(join(world.dir, "volumes", name), { recursive: true });
  rmSync(join(world.dir, "volumes/kept"), { recursive: true });
  world.volumes = world.open();
  await world.volumes.restore();
  assert.deepEqual((await world.volumes.inspect("kept")).Labels, { a: "b" });
  assert.deepEqual(world.disk, ["stranger"]);
  assert.deepEqual(
    (await world.volumes.check({ repair: false })).map(({ subject }) => subject),
    ["volume kept", join(world.dir, "volumes/stranger")],
  );
  assert.equal(existsSync(join(world.dir, "volumes/stranger")), true);
});

test("a container's anonymous volumes go with it, but not those that another has, nor named ones", async () => {
  await using world = await World.start();
  const { Name: gone } = await world.volumes.create({}, signal);
  const { Name: shared } = await world.volumes.create({}, signal);
  await world.volumes.create({ Name: "named" }, signal);
  world.users.set(shared, [newContainerId()]);
  await world.volumes.removeAnonymous([gone, shared, "named", "never-there"]);
  assert.deepEqual(await world.names(), ["named", shared].toSorted());
});

test("the check tells operations that nobody carries out, and a repair finishes them", async () => {
  await using world = await World.start();
  await world.volumes.create({ Name: "cut" }, signal);
  mkdirSync(join(world.dir, "volumes/.new-x/fresh"), { recursive: true });
  writeFileSync(join(world.dir, "volumes/.new-x/fresh/whole"), "");
  await world.store.commit([
    beginOp("fill", "cut", { staged: ".new-x", isWhole: true }),
    putHistory(beginHistory("cut", [])),
    putHistory(beginHistory("never-there", [])),
  ]);
  const found = [
    "volume cut: its fill was begun and never finished",
    "volume cut: its snapshot or restore was begun and never finished",
    "volume never-there: its snapshot or restore was begun and never finished",
  ];
  const tell = async (repair: boolean): Promise<readonly string[]> =>
    (await world.volumes.check({ repair }))
      .map(
        ({ invariant, subject, detail, repaired }) => `${invariant} ${subject}: ${detail}${repaired ? ", mended" : ""}`,
      )
      .toSorted();
  assert.deepEqual(
    await tell(false),
    found.map((text) => `F18 ${text}`),
  );
  assert.deepEqual(
    await tell(true),
    found.map((text) => `F18 ${text}, mended`),
  );
  assert.deepEqual(await tell(false), []);
  assert.deepEqual(readdirSync(join(world.dir, "volumes/cut/_data")), ["whole"]);
  assert.deepEqual(world.disk, ["cut"]);
});
