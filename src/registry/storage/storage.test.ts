import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, test } from "node:test";
import { type Digest, digestOf } from "../../base/digest.ts";
import { parseManifestDocument } from "../manifest-document.ts";
import { type CollectOptions, openStorage, type Storage } from "./index.ts";

const hour = 3_600_000;
let dir = "";
let storage: Storage;

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "gantry-registry-"));
  storage = openStorage(dir);
});

afterEach(() => {
  storage.close();
  rmSync(dir, { recursive: true, force: true });
});

function reopen(): void {
  storage.close();
  storage = openStorage(dir);
}

async function* chunksOf(bytes: Uint8Array, size = 1000): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

const tooLarge = (): Error => new Error("too large");

async function push(repository: string, bytes: Uint8Array): Promise<Digest> {
  const upload = await storage.uploads.create(repository);
  await upload.append(chunksOf(bytes), 1 << 30, tooLarge);
  const digest = digestOf(bytes);
  await storage.finishUpload(repository, upload, digest);
  return digest;
}

function pushManifest(repository: string, config: Uint8Array, layer: Uint8Array, tag: string | undefined): Digest {
  const descriptor = (bytes: Uint8Array): object => ({ mediaType: "a/b", digest: digestOf(bytes), size: bytes.length });
  const value = { schemaVersion: 2, config: descriptor(config), layers: [descriptor(layer)] };
  const bytes = Buffer.from(JSON.stringify(value));
  const document = parseManifestDocument(bytes, "application/vnd.oci.image.manifest.v1+json");
  storage.records.putManifest(repository, document, bytes, tag, Date.now());
  return document.digest;
}

function collect(options: Partial<CollectOptions> = {}): ReturnType<Storage["collect"]> {
  return storage.collect({
    nowMs: Date.now() + 2 * hour,
    graceMs: hour,
    uploadExpiryMs: 24 * hour,
    untagged: false,
    unusedMs: undefined,
    ...options,
  });
}

function blobPath(digest: Digest): string {
  return storage.files.path(digest);
}

test("a data directory is one server's at a time, and nobody else's files are taken", () => {
  assert.throws(() => openStorage(dir), /another registry serves/);
  const other = mkdtempSync(join(tmpdir(), "gantry-registry-"));
  writeFileSync(join(other, "registry.db"), "not a database, by any means");
  assert.throws(() => openStorage(other));
  assert.equal(readFileSync(join(other, "registry.db"), "utf8"), "not a database, by any means");
  rmSync(other, { recursive: true });
});

test("an upload goes on after a restart, and its digest is that of all bytes", async () => {
  const bytes = randomBytes(3_000_000);
  const first = await storage.uploads.create("a");
  await first.append(chunksOf(bytes.subarray(0, 1_500_000)), 1 << 30, tooLarge);
  reopen();
  const again = await storage.uploads.find("a", first.id);
  assert.equal(again.offset, 1_500_000);
  await again.append(chunksOf(bytes.subarray(1_500_000)), 1 << 30, tooLarge);
  await storage.finishUpload("a", again, digestOf(bytes));
  assert.deepEqual(readFileSync(blobPath(digestOf(bytes))), bytes);
  assert.equal(await storage.blobSize("a", digestOf(bytes)), bytes.length);
  assert.equal(await storage.blobSize("b", digestOf(bytes)), undefined);
  assert.deepEqual(readdirSync(join(dir, "uploads")), []);
});

test("an upload belongs to its repository", async () => {
  const { id } = await storage.uploads.create("a");
  await assert.rejects(storage.uploads.find("b", id), /no such upload/);
  for (const wrong of ["../../registry.db", "", `${id}x`, ".."])
    await assert.rejects(storage.uploads.find("a", wrong), /no such upload/);
});

test("a wrong digest leaves neither blob nor upload", async () => {
  const upload = await storage.uploads.create("a");
  await upload.append(chunksOf(Buffer.from("abc")), 1 << 30, tooLarge);
  await assert.rejects(storage.finishUpload("a", upload, digestOf("abd")), /have the digest/);
  assert.equal(existsSync(blobPath(digestOf("abd"))), false);
  assert.deepEqual(readdirSync(join(dir, "uploads")), []);
});

test("what came before a break stays, what is beyond the limit does not", async () => {
  const upload = await storage.uploads.create("a");
  const broken = async function* broken(): AsyncGenerator<Uint8Array> {
    yield Buffer.from("abc");
    throw new Error("broken");
  };
  await assert.rejects(upload.append(broken(), 10, tooLarge), /broken/);
  assert.equal(upload.offset, 3);
  await assert.rejects(upload.append(chunksOf(Buffer.alloc(8)), 10, tooLarge), /too large/);
  await upload.truncate(3);
  await upload.append(chunksOf(Buffer.from("def")), 10, tooLarge);
  assert.equal(await upload.finish(), digestOf("abcdef"));
});

test("a newer request takes an upload over", async () => {
  const { id } = await storage.uploads.create("a");
  let broken = 0;
  const first = await storage.uploads.hold("a", id, () => {
    broken += 1;
    first[Symbol.dispose]();
  });
  const second = await storage.uploads.hold("a", id, () => undefined);
  assert.equal(broken, 1);
  assert.equal(second.upload.id, id);
  second[Symbol.dispose]();
});

test("a manifest is refused while something that it needs is not in its repository", async () => {
  const [config, layer] = [Buffer.from("config"), Buffer.from("layer")];
  await push("a", config);
  assert.throws(() => pushManifest("a", config, layer, "v1"), /push it first/);
  await push("b", layer);
  assert.throws(() => pushManifest("a", config, layer, "v1"), /push it first/);
  assert.equal(storage.records.tag("a", "v1"), undefined);
  assert.equal(storage.records.linkBlob("a", digestOf(layer), Date.now()), true);
  const digest = pushManifest("a", config, layer, "v1");
  assert.equal(storage.records.tag("a", "v1")?.digest, digest);
  reopen();
  assert.equal(storage.records.tag("a", "v1")?.digest, digest);
});

test("collection takes what no manifest needs once it is old, and only that", async () => {
  const [config, layer, loose] = [Buffer.from("config"), Buffer.from("layer"), Buffer.from("loose")];
  for (const bytes of [config, layer, loose]) await push("a", bytes);
  const manifest = pushManifest("a", config, layer, "v1");
  await push("b", layer);
  assert.deepEqual(await collect({ nowMs: Date.now() }), { uploads: 0, manifests: 0, blobs: 0, bytes: 0 });
  assert.deepEqual(await collect(), { uploads: 0, manifests: 0, blobs: 1, bytes: 5 });
  assert.equal(existsSync(blobPath(digestOf(loose))), false);
  assert.equal(await storage.blobSize("a", digestOf(layer)), 5);
  assert.equal(await storage.blobSize("b", digestOf(layer)), undefined);
  assert.equal(storage.records.repositoryId("b"), undefined);
  storage.records.deleteManifest("a", manifest);
  assert.equal((await collect()).blobs, 2);
  assert.deepEqual(storage.records.totals(), { blobs: 0, bytes: 0, manifests: 0, repositories: 0 });
});

test("what a push has asked for or mounted counts as fresh", async () => {
  const bytes = Buffer.from("bytes");
  const digest = await push("a", bytes);
  const later = Date.now() + 2 * hour;
  storage.records.refreshBlob("a", digest, later, later);
  await collect();
  assert.equal(await storage.blobSize("a", digest), 5);
  assert.equal(storage.records.linkBlob("b", digest, later + 2 * hour), true);
  await collect({ nowMs: later + 2 * hour });
  assert.equal(await storage.blobSize("a", digest), undefined);
  assert.equal(await storage.blobSize("b", digest), 5);
});

test("untagged manifests go on request, but not those that an index or a subject needs", async () => {
  const [config, layer] = [Buffer.from("config"), Buffer.from("layer")];
  for (const bytes of [config, layer]) await push("a", bytes);
  const child = pushManifest("a", config, layer, undefined);
  const stray = pushManifest("a", layer, config, undefined);
  const size = storage.records.manifest("a", child)?.bytes.length;
  const put = (value: object, tag: string | undefined): Digest => {
    const bytes = Buffer.from(JSON.stringify({ schemaVersion: 2, ...value }));
    const document = parseManifestDocument(bytes, undefined);
    storage.records.putManifest("a", document, bytes, tag, Date.now());
    return document.digest;
  };
  const index = put(
    { manifests: [{ mediaType: "application/vnd.oci.image.manifest.v1+json", digest: child, size }] },
    "v1",
  );
  const about = put({ manifests: [], subject: { mediaType: "a/b", digest: index, size: 1 } }, undefined);
  assert.equal((await collect()).manifests, 0);
  assert.equal((await collect({ untagged: true })).manifests, 1);
  assert.equal(storage.records.manifest("a", stray), undefined);
  for (const kept of [child, index, about]) assert.notEqual(storage.records.manifest("a", kept), undefined);
  storage.records.deleteManifest("a", index);
  assert.equal((await collect({ untagged: true })).manifests, 2);
});

test("two requests that find an upload after a restart have the same one", async () => {
  const { id } = await storage.uploads.create("a");
  reopen();
  const [one, two] = await Promise.all([storage.uploads.find("a", id), storage.uploads.find("a", id)]);
  assert.equal(one, two);
});

test("T10: ten thousand abandoned uploads are swept, one that is written to is not", async () => {
  const old = new Date(Date.now() - 48 * hour);
  const tie = createHash("sha256").update("a").digest("hex").slice(0, 16);
  for (let i = 0; i < 10_000; i++) {
    const path = join(dir, "uploads", `00000000-0000-4000-8000-${i.toString(16).padStart(12, "0")}.${tie}`);
    writeFileSync(path, "x");
    utimesSync(path, old, old);
  }
  const upload = await storage.uploads.create("a");
  utimesSync(upload.path, old, old);
  using _ = await storage.uploads.hold("a", upload.id, () => undefined);
  assert.equal((await collect({ nowMs: Date.now() })).uploads, 10_000);
  assert.equal(await storage.uploads.count(), 1);
});

test("files without a row, left by a crash, are swept; a blob whose file is lost can be pushed again", async () => {
  const orphan = digestOf("orphan");
  mkdirSync(join(blobPath(orphan), ".."), { recursive: true });
  writeFileSync(blobPath(orphan), "orphan");
  await collect();
  assert.equal(existsSync(blobPath(orphan)), false);
  const digest = await push("a", Buffer.from("bytes"));
  truncateSync(blobPath(digest), 2);
  assert.equal(await storage.blobSize("a", digest), undefined);
  await push("a", Buffer.from("bytes"));
  assert.equal(await storage.blobSize("a", digest), 5);
});

test("tags come in the API's order, a page at a time", async () => {
  const [config, layer] = [Buffer.from("config"), Buffer.from("layer")];
  for (const bytes of [config, layer]) await push("a", bytes);
  for (const tag of ["b", "A", "a", "B", "1", "_x"]) pushManifest("a", config, layer, tag);
  const id = storage.records.repositoryId("a") ?? 0;
  assert.deepEqual(storage.records.tags(id, "", 10), ["1", "_x", "A", "a", "B", "b"]);
  assert.deepEqual(storage.records.tags(id, "A", 2), ["a", "B"]);
  assert.deepEqual(storage.records.tags(id, "../", 1), ["1"]);
});
