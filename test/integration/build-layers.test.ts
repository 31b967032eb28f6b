// Layers of build steps: what a step wrote becomes a layer in place, with the tar that a copy of it would have had. Needs root
// and python3; overlays are mounted in mount namespaces of their own.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Readable } from "node:stream";
import { after, before, describe, it } from "node:test";
import { type DiffId, chainIdsOf, parseDiffId } from "../../src/base/digest.ts";
import { type BuildLayers, createBuildLayers } from "../../src/engine/build/layers/index.ts";
import type { OverlayDirs } from "../../src/engine/snapshots/index.ts";
import { ImageRoom } from "../support/image-room.ts";
import { base, capability, deeds, setXattr } from "../support/root-deeds.ts";

describe("layers of build steps", () => {
  let room: ImageRoom;
  let layers: BuildLayers;
  let bottom: DiffId;
  let count = 0;
  const signal = (): AbortSignal => AbortSignal.timeout(60_000);
  const digestOf = (tar: Uint8Array): DiffId => parseDiffId(`sha256:${createHash("sha256").update(tar).digest("hex")}`);
  const tarOfTop = async (stack: readonly DiffId[]): Promise<Buffer> => {
    const top = layers.chainId(stack);
    assert.ok(top !== undefined);
    return Buffer.concat(await room.snapshots.tar(top, signal()).toArray());
  };

  before(async () => {
    room = await ImageRoom.open();
    layers = createBuildLayers({ snapshots: room.snapshots, store: room.store });
    bottom = digestOf(base);
    await room.snapshots.unpack(undefined, bottom, Readable.from([base]), signal());
  });
  after(() => room.close());

  function run({ lower, upper, work }: OverlayDirs, lines: string): void {
    const mounted = `mount -t overlay overlay -o index=off,lowerdir=${lower.join(":")},upperdir=${upper},workdir=${work} ${upper} && cd ${upper} && cd .`;
    const script = `set -e; umask 022; ${lower.length === 0 ? `cd ${upper}` : mounted}; ${lines || ":"}`;
    const options = { encoding: "utf8" } as const;
    const { status, stderr } = spawnSync(
      "unshare",
      ["--mount", "--propagation", "private", "sh", "-c", script],
      options,
    );
    assert.equal(status, 0, stderr);
  }

  /** Does the same twice: as a container's layer that is copied, and as a step's that is sealed. */
  async function step(
    parent: readonly DiffId[],
    lines: string,
    clamp?: number,
  ): Promise<{ readonly stack: readonly DiffId[]; readonly copied: DiffId }> {
    await using made = await layers.begin(parent);
    run(made.dirs, lines);
    const copy = await room.snapshots.stageWritable(made.key, 1 << 30, signal());
    await copy.release();
    return { stack: await made.finish(clamp, signal()), copied: copy.diffId };
  }

  /** The tar of a whole chain as a container sees it. */
  async function seen(stack: readonly DiffId[]): Promise<DiffId> {
    const key = `look${++count}`;
    const prepared = await room.snapshots.prepare(key, layers.chainId(stack));
    await room.store.commit(prepared.changes);
    return digestOf(Buffer.concat(await room.snapshots.export(key, signal()).toArray()));
  }

  for (const [title, lines] of Object.entries(deeds))
    it(`seals ${title} as the tar that a copy has, and shows the same files as its unpacked tar`, async () => {
      const { stack, copied } = await step([bottom], lines);
      if (lines === "") {
        assert.deepEqual(stack, [bottom]);
        return;
      }
      assert.deepEqual(stack, [bottom, copied]);
      const tar = await tarOfTop(stack);
      assert.equal(digestOf(tar), copied);
      assert.equal(room.snapshots.tarBytes(chainIdsOf(stack).at(-1) as never), tar.length);

      // Unpacked by somebody else, it is the same layer: in files, in size, in what covers what.
      const other = await ImageRoom.open();
      try {
        const lower = await other.snapshots.unpack(undefined, bottom, Readable.from([base]), signal());
        const top = await other.snapshots.unpack(lower, copied, Readable.from([tar]), signal());
        assert.equal(other.snapshots.layerSize(top), layers.sizeBytes(stack));
        const prepared = await other.snapshots.prepare("look", top);
        await other.store.commit(prepared.changes);
        const there = digestOf(Buffer.concat(await other.snapshots.export("look", signal()).toArray()));
        assert.equal(await seen(stack), there);
      } finally {
        await other.close();
      }
    });

  it("takes sockets and what the engine makes to mount on out of the layer, and keeps the directories' times", async () => {
    const lines = [
      "touch .dockerenv etc/hosts; mkdir -p dev proc sys new",
      "python3 -c 'import socket;socket.socket(socket.AF_UNIX).bind(\"new/socket\")'",
      "touch -d '2001-02-03 04:05:06.7 UTC' new",
    ].join("; ");
    const { stack, copied } = await step([bottom], lines);
    assert.deepEqual(stack, [bottom, copied]);
    const [top] = layers.directories(stack);
    assert.deepEqual(readdirSync(top as string), ["new"]);
    assert.deepEqual(readdirSync(join(top as string, "new")), []);
    assert.equal(statSync(join(top as string, "new")).mtimeMs, Date.parse("2001-02-03T04:05:06.700Z"));
  });

  it("leaves no attribute of an upper directory in a layer, but opaqueness", async () => {
    const { stack } = await step(
      [bottom],
      "rm -r var/cache; mkdir var/cache; echo more >> opt/tree/f; mv etc/passwd etc/p",
    );
    const [top] = layers.directories(stack);
    const listed = spawnSync(
      "python3",
      [
        "-c",
        "import os,sys\nfor d,_,fs in os.walk(sys.argv[1]):\n for n in [d]+[os.path.join(d,f) for f in fs]:\n  for a in os.listxattr(n,follow_symlinks=False): print(os.path.relpath(n,sys.argv[1]),a)",
        top as string,
      ],
      { encoding: "utf8" },
    );
    assert.equal(listed.stdout, "var/cache trusted.overlay.opaque\n");
  });

  it("takes no program's word for it that a directory hides what is under it", async () => {
    const { stack, copied } = await step([bottom], setXattr("var", "user.overlay.opaque", "79"));
    assert.deepEqual(stack, [bottom, copied]);
    assert.deepEqual(readdirSync(layers.directories(stack)[0] as string), ["var"]);
    assert.equal(await seen(stack), await seen([bottom]));
  });

  it("lets go of what a collection that failed meant to delete", async () => {
    const { stack } = await step([bottom], "echo stays > stays");
    layers.keep(stack)[Symbol.dispose]();
    {
      using _ = await room.snapshots.lock();
      assert.ok(room.snapshots.planCollect([]).removed.includes(layers.chainId(stack) as never));
      assert.equal(room.snapshots.pin(layers.chainId(stack) as never), undefined);
    }
    await using again = await layers.begin(stack);
    assert.equal(again.dirs.lower.length, 2);
  });

  it("bounds times on disk and in the tar, and then the same work gives the same layer", async () => {
    const lines = "echo x > f; mkdir d; ln -s f l; ln f d/g; mkfifo p; rm etc/gone; touch -d '1999-01-01 UTC' old";
    const one = await step([bottom], lines, 1_000_000_000);
    await new Promise((resolve) => setTimeout(resolve, 20));
    const two = await step([bottom], lines, 1_000_000_000);
    assert.deepEqual(one.stack, two.stack);
    assert.notEqual(one.stack.at(-1), one.copied);
    assert.equal(digestOf(await tarOfTop(one.stack)), one.stack.at(-1));
    const [top] = layers.directories(one.stack);
    assert.equal(statSync(join(top as string, "f")).mtimeMs, 1e12);
    assert.equal(statSync(join(top as string, "d")).mtimeMs, 1e12);
    assert.equal(statSync(join(top as string, "old")).mtimeMs, Date.parse("1999-01-01T00:00:00Z"));
  });

  it("makes an empty tree's first layer, and one with capabilities", async () => {
    const { stack, copied } = await step([], `echo x > ping; ${setXattr("ping", "security.capability", capability)}`);
    assert.deepEqual(stack, [copied]);
    assert.deepEqual((await step([], "")).stack, []);
  });

  it("stacks the layers of a tree of its own on any other, as often as is asked", async () => {
    const alone = (await step([], "mkdir etc; echo linked > etc/linked")).stack;
    const { stack: changed } = await step([bottom], "echo changed > etc/passwd");
    const both = await layers.stack(changed, alone, signal());
    assert.deepEqual(both, [...changed, ...alone]);
    assert.deepEqual(await layers.stack(changed, alone, signal()), both);
    const twice = await layers.stack(both, alone, signal());
    assert.equal(new Set(layers.directories(twice)).size, twice.length);
    assert.equal(digestOf(await tarOfTop(twice)), alone[0]);
  });

  it("holds new layers and kept ones against collection, and nothing else", async () => {
    const { stack } = await step([bottom], "echo kept > kept");
    await room.snapshots.collect([]);
    assert.ok(layers.has(stack));
    const { stack: next } = await step(stack, "echo more > more");
    assert.ok(layers.has(next));
    assert.equal(layers.has([...next, bottom]), false);
    await assert.rejects(layers.begin([...next, bottom]), { kind: "DataLoss" });
  });

  it("removes what a step wrote when it is given up, and after a sweep nothing is left of one that was never finished", async () => {
    const before = readdirSync(join(room.dataRoot, "snapshots")).length;
    {
      await using given = await layers.begin([bottom]);
      run(given.dirs, "echo x > x");
      assert.equal(readdirSync(join(room.dataRoot, "snapshots")).length, before + 1);
    }
    assert.equal(readdirSync(join(room.dataRoot, "snapshots")).length, before);
    assert.deepEqual(readdirSync(join(room.dataRoot, "tmp")), []);
    assert.deepEqual(await room.snapshots.check(() => [], false), []);
  });

  it("seals 20,000 files", async () => {
    await using made = await layers.begin([bottom]);
    for (let d = 0; d < 200; d++) {
      mkdirSync(join(made.dirs.upper, `d${d}`));
      for (let f = 0; f < 100; f++) writeFileSync(join(made.dirs.upper, `d${d}`, `f${f}`), `${d} ${f}`);
    }
    const stack = await made.finish(undefined, signal());
    assert.equal(digestOf(await tarOfTop(stack)), stack.at(-1));
    assert.equal(existsSync(made.dirs.upper), false);
  });
});
