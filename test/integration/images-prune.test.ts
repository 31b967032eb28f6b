// docker image prune on a data root. Needs root and gantry-unpack.

import assert from "node:assert/strict";
import { utimesSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, it } from "node:test";
import { chainIdsOf, parseDigest } from "../../src/base/digest.ts";
import { configOf, dockerArchive, sha256 } from "../support/image-archives.ts";
import { ImageRoom } from "../support/image-room.ts";
import { file, tarOf } from "../support/tar.ts";

const base = tarOf(file("base", "12345678"));
const top = tarOf(file("top", "1234"));
const tagged = configOf([base]);
const dangling = configOf([base, top], { created: "2021-01-01T00:00:00Z" });
const [taggedId, danglingId] = [tagged, dangling].map((config) => `sha256:${sha256(config)}`);
const chain = chainIdsOf([`sha256:${sha256(base)}`, `sha256:${sha256(top)}`] as never);
const hourMs = 3_600_000;

let room: ImageRoom;
beforeEach(async () => {
  room = await ImageRoom.open();
  await room.load(
    dockerArchive([
      { config: tagged, layers: [base], tags: ["app:1", "app:2"] },
      { config: dangling, layers: [base, top], tags: [] },
    ]),
  );
  room.events.length = 0;
});
afterEach(async () => {
  await room.close();
});

const prune = (filters: Readonly<Record<string, readonly string[]>> = {}): ReturnType<ImageRoom["images"]["prune"]> =>
  room.images.prune(new Map(Object.entries(filters)));

/** A download that was cut off `ageMs` ago. */
async function leaveDownload(text: string, ageMs: number): Promise<void> {
  const hex = sha256(text);
  const ingest = await room.content.ingest(parseDigest(`sha256:${hex}`), text.length + 1);
  await ingest.write(Buffer.from(text));
  await ingest.release();
  const then = new Date(performance.timeOrigin + performance.now() - ageMs);
  utimesSync(join(room.dataRoot, "content/ingest", hex), then, then);
}

describe("docker image prune", () => {
  it("takes dangling images, says what that frees, and tells", async () => {
    const { ImagesDeleted, SpaceReclaimed } = await prune();
    assert.deepEqual(ImagesDeleted, [{ Deleted: danglingId }, { Deleted: chain[1] }]);
    assert.equal(SpaceReclaimed, "1234".length + dangling.length);
    assert.deepEqual(
      room.events.map(({ action, attributes }) => [action, attributes["reclaimed"]]),
      [
        ["delete", undefined],
        ["prune", String(SpaceReclaimed)],
      ],
    );
    assert.deepEqual(await prune(), { ImagesDeleted: null, SpaceReclaimed: 0 });
    assert.equal(room.images.count(), 1);
  });
  it("with dangling=false takes every image that no container uses", async () => {
    const { ImagesDeleted, SpaceReclaimed } = await prune({ dangling: ["false"] });
    assert.deepEqual(ImagesDeleted, [
      { Untagged: "app:1" },
      { Untagged: "app:2" },
      { Deleted: taggedId },
      { Deleted: danglingId },
      { Deleted: chain[1] },
      { Deleted: chain[0] },
    ]);
    assert.equal(SpaceReclaimed, "12345678".length + "1234".length + tagged.length + dangling.length);
    assert.deepEqual(room.remains(), { tmp: [], snapshots: [], blobs: [] });
  });
  it("leaves a used image alone, with all its names", async () => {
    room.containers.push({ id: "0123456789ab".padEnd(64, "f"), running: false });
    assert.deepEqual(await prune({ dangling: ["false"] }), { ImagesDeleted: null, SpaceReclaimed: 0 });
    assert.deepEqual((await room.images.inspect("app:1")).RepoTags, ["app:1", "app:2"]);
  });
  it("takes downloads that were given up: those of a week, with dangling=false those of an hour", async () => {
    await leaveDownload("of nine days", 9 * 24 * hourMs);
    await leaveDownload("of two hours", 2 * hourMs);
    await leaveDownload("of now", 0);
    const freed = async (filters: Readonly<Record<string, readonly string[]>>): Promise<number> =>
      (await prune({ label: ["none"], ...filters })).SpaceReclaimed;
    assert.equal(await freed({}), "of nine days".length);
    assert.equal(await freed({ dangling: ["false"] }), "of two hours".length);
    assert.equal(await freed({ dangling: ["false"] }), 0);
  });
  it("is one at a time; refused filters take nothing", async () => {
    const first = prune();
    await assert.rejects(prune(), { kind: "Conflict", message: "a prune operation is already running" });
    assert.equal((await first).ImagesDeleted?.length, 2);
    await assert.rejects(prune({ foo: ["a"] }), { kind: "InvalidParameter", message: "invalid filter 'foo'" });
    assert.deepEqual(await prune(), { ImagesDeleted: null, SpaceReclaimed: 0 });
  });
});
