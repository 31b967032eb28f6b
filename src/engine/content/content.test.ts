import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import {
  appendFileSync,
  existsSync,
  linkSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { type Digest, digestOf, hexOf } from "../../base/digest.ts";
import { isEngineError } from "../../base/errors.ts";
import { silentLogger } from "../../base/log.ts";
import { type Store, openStore } from "../store/index.ts";
import { type ContentStore, type Ingest, createContentStore } from "./index.ts";

const never = new AbortController().signal;

/** A content store on a directory of its own. */
class Room implements AsyncDisposable {
  readonly dataRoot = mkdtempSync(join(tmpdir(), "gantry-content-"));
  store!: Store;
  content!: ContentStore;

  static async open(): Promise<Room> {
    const room = new Room();
    await room.#start();
    return room;
  }

  /** As after a kill: nothing was let go. */
  async restart(): Promise<void> {
    await this.store.close();
    await this.#start();
  }

  ingests(): string[] {
    return readdirSync(join(this.dataRoot, "content/ingest")).sort();
  }

  path(name: string): string {
    return join(this.dataRoot, "content", name);
  }

  async commit(...digests: readonly Digest[]): Promise<void> {
    const placed = await this.content.place(digests.map((digest) => ({ digest, mediaType: "text/plain" })));
    await this.store.commit(placed.changes);
    placed.committed();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.store.close();
    rmSync(this.dataRoot, { recursive: true, force: true });
  }

  async #start(): Promise<void> {
    this.store = await openStore({ directory: this.dataRoot, logger: silentLogger, ballastBytes: 0 });
    this.content = await createContentStore({ store: this.store, dataRoot: this.dataRoot });
  }
}

async function fill(ingest: Ingest, bytes: Uint8Array, step = 100_000): Promise<void> {
  for (let at = ingest.offset; at < bytes.length; at += step) await ingest.write(bytes.subarray(at, at + step));
}

async function fetch(content: ContentStore, bytes: Uint8Array): Promise<Digest> {
  const ingest = await content.ingest(digestOf(bytes), bytes.length);
  await fill(ingest, bytes);
  await ingest.finish();
  await ingest.release();
  return ingest.digest;
}

async function collect(chunks: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const all: Uint8Array[] = [];
  for await (const chunk of chunks) all.push(chunk);
  return Buffer.concat(all);
}

const kind =
  (expected: Parameters<typeof isEngineError>[1], text = /./) =>
  (error: unknown): boolean =>
    isEngineError(error, expected) && text.test(error.message);

describe("an ingest", () => {
  it("becomes a blob in its caller's commit, and its own name goes", async () => {
    await using room = await Room.open();
    const bytes = randomBytes(3_000_000);
    const digest = await fetch(room.content, bytes);
    assert.equal(room.content.isIngested(digest), true);
    assert.equal(room.content.has(digest), false);
    assert.deepEqual(room.ingests(), [`${hexOf(digest)}.done`]);
    await room.commit(digest);
    assert.deepEqual(room.ingests(), []);
    assert.equal(room.content.isIngested(digest), false);
    assert.equal(room.content.size(digest), bytes.length);
    assert.equal(room.content.totalBytes(), bytes.length);
    assert.deepEqual(await collect(await room.content.open(digest)), bytes);
    assert.deepEqual(await collect(await room.content.open(digest, 2_999_990)), bytes.subarray(2_999_990));
    assert.deepEqual(await room.content.check(new Set([digest]), false), []);
    assert.equal(statSync(room.path(`blobs/sha256/${hexOf(digest)}`)).mode & 0o777, 0o600);
    await room.commit(digest);
  });

  it("goes on after a kill from the bytes that reached the file, hashed again", async () => {
    await using room = await Room.open();
    const bytes = randomBytes(2_000_000);
    const before = await room.content.ingest(digestOf(bytes), bytes.length);
    await fill(before, bytes.subarray(0, 1_700_000));
    await before.release();
    await room.restart();
    const after = await room.content.ingest(digestOf(bytes), bytes.length);
    assert.equal(after.offset, 1_700_000);
    assert.equal(room.content.totalBytes(), 1_700_000);
    await fill(after, bytes);
    await after.finish();
    assert.deepEqual(await collect(after.follow(never)), bytes);
    await after.release();
  });

  it("is complete after a kill when it was renamed, and verified again when it was not", async () => {
    await using room = await Room.open();
    const [whole, damaged] = [randomBytes(1000), randomBytes(1000)];
    await fetch(room.content, whole);
    const partial = await room.content.ingest(digestOf(damaged), damaged.length);
    await fill(partial, damaged);
    await partial.release();
    const path = room.path(`ingest/${hexOf(digestOf(damaged))}`);
    writeFileSync(path, Buffer.alloc(1000));
    await room.restart();
    const again = await room.content.ingest(digestOf(whole), whole.length);
    assert.equal(again.offset, whole.length);
    await again.finish();
    await again.release();
    const torn = await room.content.ingest(digestOf(damaged), damaged.length);
    await assert.rejects(torn.finish(), kind("InvalidParameter", /not what was claimed/));
    await torn.release();
    assert.equal(existsSync(path), false);
    assert.equal(await fetch(room.content, damaged), digestOf(damaged));
  });

  it("survives a kill between placing and the commit; the half-placed blob does not", async () => {
    await using room = await Room.open();
    const digest = await fetch(room.content, randomBytes(5000));
    await room.content.place([{ digest, mediaType: "x" }]);
    assert.equal(existsSync(room.path(`blobs/sha256/${hexOf(digest)}`)), true);
    await room.restart();
    assert.equal(existsSync(room.path(`blobs/sha256/${hexOf(digest)}`)), false);
    assert.equal(room.content.isIngested(digest), true);
    await room.commit(digest);
    // Killed between the commit and the unlinking.
    linkSync(room.path(`blobs/sha256/${hexOf(digest)}`), room.path(`ingest/${hexOf(digest)}.done`));
    await room.restart();
    assert.deepEqual(room.ingests(), []);
    assert.equal(room.content.has(digest), true);
  });

  it("is an ingest again when the commit did not happen", async () => {
    await using room = await Room.open();
    const digest = await fetch(room.content, randomBytes(5000));
    const placed = await room.content.place([{ digest, mediaType: "x" }]);
    await placed.undo();
    assert.deepEqual(readdirSync(room.path("blobs/sha256")), []);
    await room.commit(digest);
  });

  it("places all or nothing", async () => {
    await using room = await Room.open();
    const digest = await fetch(room.content, randomBytes(5000));
    const other = digestOf("never fetched");
    const both = [digest, other].map((digest) => ({ digest, mediaType: "x" }));
    await assert.rejects(room.content.place(both), kind("DataLoss", /was not fetched/));
    assert.deepEqual(readdirSync(room.path("blobs/sha256")), []);
    assert.equal(room.content.isIngested(digest), true);
  });

  it("is held by one at a time", async () => {
    await using room = await Room.open();
    const digest = digestOf("x");
    const [first, second] = await Promise.allSettled([room.content.ingest(digest, 1), room.content.ingest(digest, 1)]);
    assert.equal(first.status, "fulfilled");
    assert.ok(second.status === "rejected" && kind("Conflict")(second.reason));
    if (first.status === "fulfilled") await first.value.release();
    await (await room.content.ingest(digest, 1)).release();
    assert.deepEqual(room.ingests(), []);
  });

  it("refuses other bytes, more and fewer than claimed, and deletes them", async () => {
    await using room = await Room.open();
    const bytes = randomBytes(1000);
    for (const [given, why] of [
      [randomBytes(1000), /its digest is sha256:/],
      [bytes.subarray(0, 999), /999 bytes, not 1000/],
      [Buffer.concat([bytes, bytes]), /more than 1000 bytes/],
    ] as const) {
      const ingest = await room.content.ingest(digestOf(bytes), 1000);
      const following = collect(ingest.follow(never));
      const refused = (async () => {
        await fill(ingest, given);
        await ingest.finish();
      })();
      await Promise.all([refused, following].map((it) => assert.rejects(it, kind("InvalidParameter", why))));
      await ingest.release();
      assert.deepEqual(room.ingests(), []);
      assert.equal(room.content.totalBytes(), 0);
    }
    assert.equal(await fetch(room.content, bytes), digestOf(bytes));
  });

  it("starts over", async () => {
    await using room = await Room.open();
    const bytes = randomBytes(700_000);
    const ingest = await room.content.ingest(digestOf(bytes), bytes.length);
    await fill(ingest, randomBytes(600_000));
    const following = assert.rejects(collect(ingest.follow(never)), kind("Unavailable", /anew/));
    await ingest.reset();
    await following;
    assert.equal(ingest.offset, 0);
    await fill(ingest, bytes);
    await ingest.finish();
    await ingest.reset();
    assert.equal(room.content.isIngested(ingest.digest), false);
    await fill(ingest, bytes);
    await ingest.finish();
    await ingest.release();
    await room.commit(ingest.digest);
  });

  it("follows no symlink, and takes a longer file for no part of it", async () => {
    await using room = await Room.open();
    const bytes = randomBytes(100);
    const path = room.path(`ingest/${hexOf(digestOf(bytes))}`);
    const outside = join(room.dataRoot, "outside");
    writeFileSync(outside, "untouched");
    symlinkSync(outside, path);
    await assert.rejects(room.content.ingest(digestOf(bytes), 100), kind("System", /ELOOP/));
    await room.restart();
    assert.equal(readFileSync(outside, "utf8"), "untouched");
    appendFileSync(path, randomBytes(101));
    const ingest = await room.content.ingest(digestOf(bytes), 100);
    assert.equal(ingest.offset, 0);
    await ingest.release();
  });

  it("is refused before the disk is full for everybody", async () => {
    await using room = await Room.open();
    await assert.rejects(room.content.ingest(digestOf("x"), 2 ** 52), kind("Unavailable", /no space left on device/));
    await (await room.content.ingest(digestOf("x"), 1)).release();
  });
});

describe("followers", () => {
  it("read behind the writer, from the start, each at its own pace", async () => {
    await using room = await Room.open();
    const bytes = randomBytes(4_000_000);
    const ingest = await room.content.ingest(digestOf(bytes), bytes.length);
    const early = collect(ingest.follow(never));
    await fill(ingest, bytes.subarray(0, 2_000_000), 65_536);
    const late = collect(ingest.follow(never));
    const stopped = (async () => {
      for await (const chunk of ingest.follow(never)) return chunk.length;
      return 0;
    })();
    await fill(ingest, bytes, 65_537);
    await ingest.finish();
    await ingest.release();
    assert.deepEqual(await early, bytes);
    assert.deepEqual(await late, bytes);
    assert.ok((await stopped) > 0);
    await room.commit(ingest.digest);
  });

  it("end with their signal, with a failure, and when the writer lets go", async () => {
    await using room = await Room.open();
    const ingest = await room.content.ingest(digestOf("x"), 1000);
    await ingest.write(randomBytes(10));
    const aborted = AbortSignal.timeout(10);
    await assert.rejects(collect(ingest.follow(aborted)), kind("Cancelled"));
    const left = assert.rejects(collect(ingest.follow(never)), kind("Cancelled", /given up/));
    await ingest.release();
    await left;
    const again = await room.content.ingest(digestOf("x"), 1000);
    const failed = assert.rejects(collect(again.follow(never)), /broken/);
    again.fail(new Error("broken"));
    await failed;
    await again.release();
  });
});

describe("placing", () => {
  it("keeps the bytes from whoever would begin the blob anew, until the commit or its end", async () => {
    await using room = await Room.open();
    const bytes = randomBytes(1000);
    const digest = await fetch(room.content, bytes);
    const other = await room.content.ingest(digest, bytes.length);
    const blobs = [{ digest, mediaType: "text/plain" }];
    const first = await room.content.place(blobs);
    await assert.rejects(other.reset(), (error) => isEngineError(error, "Conflict"));
    await first.undo();
    await other.release();

    const placed = await room.content.place(blobs);
    await assert.rejects(room.content.ingest(digest, bytes.length), (error) => isEngineError(error, "Conflict"));
    assert.equal(await room.content.sweepIngests(-1), 0);
    await room.store.commit(placed.changes);
    placed.committed();
    assert.deepEqual(await room.content.read(digest), bytes);
    const anew = await room.content.ingest(digest, bytes.length);
    await anew.release();
    assert.equal(room.content.totalBytes(), bytes.length);
  });

  it("leaves no trace of an ingest that was to begin anew after it became a blob", async () => {
    await using room = await Room.open();
    const bytes = randomBytes(1000);
    const digest = await fetch(room.content, bytes);
    const other = await room.content.ingest(digest, bytes.length);
    await room.commit(digest);
    await assert.rejects(other.reset());
    await other.release();
    assert.deepEqual(await room.content.read(digest), bytes);
    assert.equal(room.content.totalBytes(), bytes.length);
  });
});

describe("the sweep", () => {
  const days = (n: number): Date => new Date(Date.now() - n * 24 * 3_600_000);

  it("deletes what is older, but nothing that is open", async () => {
    await using room = await Room.open();
    const done = await fetch(room.content, randomBytes(1000));
    const open = await room.content.ingest(digestOf("open"), 2000);
    await fill(open, randomBytes(600_000).subarray(0, 1500));
    assert.equal(await room.content.sweepIngests(1000), 0);
    utimesSync(room.path(`ingest/${hexOf(done)}.done`), days(1), days(1));
    utimesSync(room.path(`ingest/${hexOf(open.digest)}`), days(1), days(1));
    assert.equal(await room.content.sweepIngests(1000), 1000);
    assert.equal(room.content.isIngested(done), false);
    assert.deepEqual(room.ingests(), [hexOf(open.digest)]);
    await open.release();
  });

  it("at start deletes what is older than 7 days, and files of nobody", async () => {
    await using room = await Room.open();
    const [old, young] = [await fetch(room.content, randomBytes(10)), await fetch(room.content, randomBytes(10))];
    utimesSync(room.path(`ingest/${hexOf(old)}.done`), days(8), days(8));
    utimesSync(room.path(`ingest/${hexOf(young)}.done`), days(6), days(6));
    writeFileSync(room.path("ingest/x"), "");
    await room.restart();
    assert.deepEqual(room.ingests(), [`${hexOf(young)}.done`]);
  });
});

describe("check", () => {
  it("finds blobs that are missing, of another size, or damaged; an ingest is no finding", async () => {
    await using room = await Room.open();
    const [gone, longer, damaged, large] = await Promise.all(
      [100, 100, 100, 5 << 20].map((size) => fetch(room.content, randomBytes(size))),
    );
    const all = [gone, longer, damaged, large].filter((digest) => digest !== undefined);
    await room.commit(...all);
    await fetch(room.content, randomBytes(10));
    assert.deepEqual(await room.content.check(new Set(all), false), []);
    const path = (digest: Digest | undefined): string => room.path(`blobs/sha256/${digest?.slice(7)}`);
    renameSync(path(gone), join(room.dataRoot, "elsewhere"));
    appendFileSync(path(longer), "x");
    writeFileSync(path(damaged), randomBytes(100));
    rmSync(path(large));
    const findings = await room.content.check(new Set(all), false);
    assert.deepEqual(new Set(findings.map(({ subject }) => subject)), new Set(all.map((digest) => `blob ${digest}`)));
    for (const digest of all) await assert.rejects(collectRead(room.content, digest), kind("DataLoss"));
  });
});

/** Small ones are read and verified, large ones opened. */
async function collectRead(content: ContentStore, digest: Digest): Promise<void> {
  if ((content.size(digest) ?? 0) > 1000) await content.open(digest);
  else await content.read(digest);
}
