import assert from "node:assert/strict";
import { mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { build } from "esbuild";
import { silentLogger } from "../../base/log.ts";
import { type Change, openStore, type Store, type TableName, type Tables } from "./index.ts";

function temporaryDirectory(t: TestContext): string {
  const directory = mkdtempSync(join(tmpdir(), "gantry-store-"));
  t.after(() => rmSync(directory, { recursive: true }));
  return directory;
}

async function open(t: TestContext, directory = temporaryDirectory(t)): Promise<Store> {
  const store = await openStore({ directory, logger: silentLogger, ballastBytes: 0 });
  t.after(() => store.close());
  return store;
}

const container = (id: string, name: string, doc = "{}"): Change => ({ insert: "containers", row: { id, name, doc } });

const oneOfEach: { readonly [T in TableName]: Tables[T] } = {
  containers: { id: "c1", name: "web", doc: '{"a":"ü\\n😀"}' },
  images: { id: "i1", doc: "{}" },
  tags: { reference: "docker.io/library/busybox:latest", image_id: "i1" },
  manifests: { digest: "sha256:01", image_id: "i1", doc: "{}" },
  blobs: { digest: "sha256:00", size: 2 ** 40 + 1, media_type: "application/vnd.oci.image.config.v1+json" },
  layers: { chain_id: "l1", parent: null, diff_id: "d1", dir: 1, size: 0, tar_size: null },
  snapshots: { key: "c1", chain_id: "l1", dir: 2 },
  networks: { id: "n1", name: "bridge", doc: "{}" },
  endpoints: {
    id: "e1",
    container_id: "c1",
    network_id: "n1",
    ip: "172.17.0.2",
    ip6: null,
    mac: "02:42:ac:11:00:02",
    doc: "{}",
  },
  sandboxes: { container_id: "c1", doc: "{}" },
  build_records: { id: "b1", doc: "{}" },
  build_keys: { key: "k1", record_id: "b1" },
  build_mounts: { id: "m1", doc: "{}" },
  build_history: { ref: "r1", doc: "{}" },
  volumes: { name: "data", doc: "{}" },
  volume_snapshots: { id: "s1", volume: "data", name: "before", doc: "{}" },
  ops: { id: "o1", kind: "container.create", subject: "c1", step: 0, payload: "" },
  meta: { key: "engine-id", value: "x" },
};
const tableNames = Object.keys(oneOfEach) as TableName[];
const insertAll = tableNames.map((table) => ({ insert: table, row: oneOfEach[table] }) as Change);

test("a row of every table comes back as it was written, also after the store is opened again", async (t) => {
  const directory = temporaryDirectory(t);
  const first = await open(t, directory);
  await first.commit(insertAll);
  const read = async (store: Store): Promise<unknown> =>
    Promise.all(tableNames.map(async (table) => (await store.load(table)).map((row) => ({ ...row }))));
  const expected = tableNames.map((table) => [oneOfEach[table]]);
  assert.deepEqual(await read(first), expected);
  assert.deepEqual(await first.check(), []);
  await first.close();
  assert.deepEqual(await read(await open(t, directory)), expected);
});

test("the directory is 0700 and the files are 0600", async (t) => {
  const directory = temporaryDirectory(t);
  const store = await open(t, join(directory, "deep", "root"));
  await store.commit([container("c1", "web")]);
  const mode = (path: string): string => (statSync(join(directory, "deep", path)).mode & 0o777).toString(8);
  assert.deepEqual(["root", "root/gantry.db", "root/gantry.db-wal"].map(mode), ["700", "600", "600"]);
});

test("an insert that meets an existing key or unique value is a Conflict that names table, column and value", async (t) => {
  const store = await open(t);
  await store.commit(insertAll);
  const cases: readonly (readonly [Change, string])[] = [
    [container("c1", "other"), 'containers.id is taken: "c1"'],
    [container("c2", "web"), 'containers.name is taken: "web"'],
    [{ insert: "snapshots", row: { key: "c2", chain_id: null, dir: 2 } }, "snapshots.dir is taken: 2"],
    [{ insert: "layers", row: { ...oneOfEach.layers, chain_id: "l2" } }, "layers.dir is taken: 1"],
    [
      { insert: "endpoints", row: { ...oneOfEach.endpoints, id: "e2", container_id: "c2", mac: "02:42:ac:11:00:03" } },
      'endpoints.network_id, endpoints.ip is taken: "n1", "172.17.0.2"',
    ],
    [
      { insert: "endpoints", row: { ...oneOfEach.endpoints, id: "e2", container_id: "c2", ip: "172.17.0.3" } },
      'endpoints.network_id, endpoints.mac is taken: "n1", "02:42:ac:11:00:02"',
    ],
    [{ put: "containers", row: { id: "c2", name: "web", doc: "" } }, 'containers.name is taken: "web"'],
  ];
  for (const [change, message] of cases) {
    await assert.rejects(store.commit([change]), { name: "EngineError", kind: "Conflict", message });
  }
});

test("the same address may be used once in each network", async (t) => {
  const store = await open(t);
  await store.commit([
    { insert: "endpoints", row: oneOfEach.endpoints },
    { insert: "endpoints", row: { ...oneOfEach.endpoints, id: "e2", network_id: "n2" } },
  ]);
  assert.equal((await store.load("endpoints")).length, 2);
});

test("put replaces the row of the same key and makes it where there is none; delete of a missing key is nothing", async (t) => {
  const store = await open(t);
  await store.commit([{ put: "meta", row: { key: "k", value: "1" } }]);
  await store.commit([{ put: "meta", row: { key: "k", value: "2" } }]);
  await store.commit([{ delete: "meta", key: "other" }]);
  assert.deepEqual(
    (await store.load("meta")).map((row) => ({ ...row })),
    [{ key: "k", value: "2" }],
  );
});

test("put does not touch rows that refer to the row", async (t) => {
  const store = await open(t);
  await store.commit(insertAll);
  await store.commit([{ put: "images", row: { id: "i1", doc: "new" } }]);
  assert.equal((await store.load("tags")).length, 1);
});

test("a commit is applied whole or not at all", async (t) => {
  const store = await open(t);
  await store.commit([container("c1", "web")]);
  await assert.rejects(
    store.commit([{ delete: "containers", key: "c1" }, container("c2", "db"), container("c2", "again")]),
    { kind: "Conflict" },
  );
  assert.deepEqual(
    (await store.load("containers")).map((row) => row.id),
    ["c1"],
  );
});

test("a name is free again for an insert later in the same commit", async (t) => {
  const store = await open(t);
  await store.commit([container("c1", "web")]);
  await store.commit([{ delete: "containers", key: "c1" }, container("c2", "web")]);
  assert.deepEqual(
    (await store.load("containers")).map((row) => row.id),
    ["c2"],
  );
});

test("commits of one caller are applied in the order of the calls, and load sees those before it", async (t) => {
  const store = await open(t);
  const commits = Array.from({ length: 1500 }, (_, i) =>
    store.commit([{ put: "meta", row: { key: "k", value: String(i) } }]),
  );
  assert.equal((await store.load("meta"))[0]?.value, "1499");
  await Promise.all(commits);
});

test("in a group of commits only those at fault fail, and the others are on disk", async (t) => {
  const directory = temporaryDirectory(t);
  const store = await open(t, directory);
  const outcomes = await Promise.allSettled(
    Array.from({ length: 600 }, (_, i) => store.commit([container(`c${i}`, `name${i % 7 === 3 ? 0 : i}`)])),
  );
  assert.deepEqual(
    outcomes.map((outcome) => outcome.status),
    outcomes.map((_, i) => (i % 7 === 3 ? "rejected" : "fulfilled")),
  );
  await store.close();
  const ids = (await (await open(t, directory)).load("containers")).map((row) => row.id);
  assert.deepEqual(
    ids.sort(),
    outcomes.flatMap((outcome, i) => (outcome.status === "fulfilled" ? [`c${i}`] : [])).sort(),
  );
});

test("a reference to nothing is refused when the commit ends, for its caller alone", async (t) => {
  const store = await open(t);
  await store.commit(insertAll);
  const dangling: Change = { insert: "tags", row: { reference: "r", image_id: "none" } };
  const outcomes = await Promise.allSettled([
    store.commit([container("c2", "two")]),
    store.commit([dangling]),
    store.commit([container("c3", "three")]),
    store.commit([{ delete: "layers", key: "l1" }]),
    store.commit([container("c4", "four")]),
  ]);
  assert.deepEqual(
    outcomes.map((outcome) => (outcome.status === "fulfilled" ? "" : String(outcome.reason))),
    [
      "",
      "EngineError: tags refers to images: a row refers to a row that is not there",
      "",
      "EngineError: snapshots refers to layers: a row refers to a row that is not there",
      "",
    ],
  );
  // The order within a commit does not matter.
  await store.commit([
    { delete: "layers", key: "l1" },
    { delete: "snapshots", key: "c1" },
  ]);
});

test("a row of the wrong shape is refused for its caller alone", async (t) => {
  const store = await open(t);
  const wrong: readonly Change[] = [
    { insert: "blobs", row: { digest: "d", size: -1, media_type: "m" } },
    { insert: "blobs", row: { digest: "d", size: "many" as unknown as number, media_type: "m" } },
    { insert: "meta", row: { key: "k" } as Tables["meta"] },
  ];
  const outcomes = await Promise.allSettled([
    ...wrong.map((change) => store.commit([change])),
    store.commit([container("c1", "web")]),
  ]);
  assert.deepEqual(
    outcomes.map((outcome) => (outcome.status === "fulfilled" ? "done" : (outcome.reason as { kind: string }).kind)),
    ["System", "System", "System", "done"],
  );
});

test("a large table is loaded whole and in order of its keys", async (t) => {
  const store = await open(t);
  const doc = JSON.stringify({ text: "x".repeat(2000) });
  await store.commit(Array.from({ length: 3000 }, (_, i) => container(String(i).padStart(6, "0"), `n${i}`, doc)));
  const rows = await store.load("containers");
  assert.equal(rows.length, 3000);
  assert.deepEqual(
    rows.map((row) => Number(row.id)),
    Array.from({ length: 3000 }, (_, i) => i),
  );
});

test("close lets commits that were asked for finish; afterwards the store is Unavailable", async (t) => {
  const directory = temporaryDirectory(t);
  const store = await open(t, directory);
  const commit = store.commit([container("c1", "web")]);
  await store.close();
  await commit;
  await store.close();
  await assert.rejects(store.commit([container("c2", "db")]), { kind: "Unavailable", message: "the store is closed" });
  await assert.rejects(store.load("meta"), { kind: "Unavailable" });
  assert.equal((await (await open(t, directory)).load("containers")).length, 1);
});

test("a second store on the same directory is refused with its path", async (t) => {
  const directory = temporaryDirectory(t);
  await open(t, directory);
  await assert.rejects(open(t, directory), {
    kind: "Unavailable",
    message: `the database ${join(directory, "gantry.db")} is in use by another process`,
  });
});

test("a damaged database is reported with its path and what to do, and is left as it is", async (t) => {
  const directory = temporaryDirectory(t);
  const path = join(directory, "gantry.db");
  writeFileSync(path, "this is not a database\n".repeat(1000));
  await assert.rejects(open(t, directory), {
    kind: "DataLoss",
    message: /gantry\.db is damaged: file is not a database .* It was left as it is\. .*\.recover/,
  });
  assert.equal(statSync(path).size, 23_000);
});

test("the ballast is there soon after the store is opened", async (t) => {
  const directory = temporaryDirectory(t);
  const store = await openStore({ directory, logger: silentLogger, ballastBytes: 1 << 20 });
  t.after(() => store.close());
  const size = (): number => statSync(join(directory, "gantry.ballast"), { throwIfNoEntry: false })?.size ?? 0;
  for (let i = 0; i < 500 && size() === 0; i++) await new Promise((resolve) => setTimeout(resolve, 10));
  assert.equal(size(), 1 << 20);
});

test("a missing writer thread is said", async (t) => {
  await assert.rejects(
    openStore({ directory: temporaryDirectory(t), logger: silentLogger, workerPath: "/nonexistent/store-worker.js" }),
    { kind: "System", message: "the store's writer thread is missing: /nonexistent/store-worker.js" },
  );
});

test("when the writer thread dies, all who wait and all who come later are told, and the log once", async (t) => {
  const directory = temporaryDirectory(t);
  const workerPath = join(directory, "dies.mjs");
  writeFileSync(
    workerPath,
    `import { parentPort } from "node:worker_threads";
    parentPort.postMessage({ opened: undefined });
    parentPort.on("message", () => { throw new Error("boom"); });`,
  );
  const logged: string[] = [];
  const logger = { ...silentLogger, error: (message: string) => logged.push(message) };
  const store = await openStore({ directory, logger, workerPath });
  const message = "the store's writer thread has failed: boom; restart gantryd";
  const waiting = [store.commit([container("c1", "web")]), store.load("meta"), store.check()];
  await Promise.all(waiting.map((promise) => assert.rejects(promise, { kind: "Unavailable", message })));
  await assert.rejects(store.commit([container("c2", "db")]), { kind: "Unavailable", message });
  assert.deepEqual(logged, [message]);
  await store.close();
});

test("a commit of nothing is done at once", async (t) => {
  await (await open(t)).commit([]);
});

test("it works from a bundle with the writer thread as its second entry", async (t) => {
  const directory = temporaryDirectory(t);
  await build({
    entryPoints: {
      gantryd: join(import.meta.dirname, "index.ts"),
      "store-worker": join(import.meta.dirname, "worker.ts"),
    },
    outdir: directory,
    bundle: true,
    minify: true,
    format: "esm",
    platform: "node",
    packages: "external",
  });
  writeFileSync(join(directory, "package.json"), '{"type":"module"}');
  const bundle = (await import(join(directory, "gantryd.js"))) as { openStore: typeof openStore };
  const store = await bundle.openStore({ directory: join(directory, "data"), logger: silentLogger, ballastBytes: 0 });
  await store.commit([container("c1", "web")]);
  assert.equal((await store.load("containers")).length, 1);
  await store.close();
});
