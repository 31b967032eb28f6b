import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { test, type TestContext } from "node:test";
import { migrationCopyPath, openDatabase } from "./database.ts";
import { columns, migrations } from "./schema.ts";

function temporaryPath(t: TestContext): string {
  const directory = mkdtempSync(join(tmpdir(), "gantry-database-"));
  t.after(() => rmSync(directory, { recursive: true }));
  return join(directory, "gantry.db");
}

function pragma(db: DatabaseSync, name: string): unknown {
  return Object.values(db.prepare(`PRAGMA ${name}`).get() ?? {})[0];
}

/** The schema version of this engine, and a migration that a later one might bring. */
const current = migrations.length;
const next = "ALTER TABLE meta ADD COLUMN note TEXT; INSERT INTO meta VALUES ('migrated', 'yes', '2')";

test("the tables have exactly the columns that the engine writes, the key first", (t) => {
  const db = openDatabase(temporaryPath(t));
  const tables = db.prepare("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name").all();
  const found = tables.map(({ name }) => [
    name,
    db
      .prepare(`SELECT name FROM pragma_table_info('${String(name)}')`)
      .all()
      .map((row) => row["name"]),
  ]);
  assert.deepEqual(Object.fromEntries(found), columns);
  assert.ok(
    db
      .prepare("SELECT strict FROM pragma_table_list WHERE schema = 'main' AND name NOT LIKE 'sqlite%'")
      .all()
      .every((row) => row["strict"] === 1),
  );
  db.close();
});

test("commits are synced to a write-ahead log of bounded size, without shared memory", (t) => {
  const path = temporaryPath(t);
  const db = openDatabase(path);
  assert.deepEqual(
    ["journal_mode", "synchronous", "wal_autocheckpoint", "journal_size_limit", "locking_mode", "foreign_keys"].map(
      (name) => pragma(db, name),
    ),
    ["wal", 2, 200, 4 << 20, "exclusive", 1],
  );
  assert.equal(statSync(`${path}-shm`, { throwIfNoEntry: false }), undefined);
  db.close();
});

test("an older database is copied, then migrated; the copy has the old version and its rows", (t) => {
  const path = temporaryPath(t);
  const old = openDatabase(path);
  old.exec("INSERT INTO meta VALUES ('k', 'v')");
  old.close();
  const db = openDatabase(path, [...migrations, next]);
  assert.equal(pragma(db, "user_version"), current + 1);
  assert.equal(db.prepare("SELECT count(*) AS n FROM meta").get()?.["n"], 2);
  db.close();

  const copyPath = migrationCopyPath(path, current);
  assert.equal(statSync(copyPath).mode & 0o777, 0o600);
  const copy = openDatabase(copyPath);
  assert.equal(pragma(copy, "user_version"), current);
  assert.deepEqual({ ...copy.prepare("SELECT * FROM meta").get() }, { key: "k", value: "v" });
  copy.close();
});

test("a database of version 1 is migrated with all its rows; what came later is empty", (t) => {
  const path = temporaryPath(t);
  const old = openDatabase(path, migrations.slice(0, 1));
  old.exec(`
    INSERT INTO images VALUES ('sha256:i', '{}');
    INSERT INTO tags VALUES ('docker.io/library/a:1', 'sha256:i');
    INSERT INTO blobs VALUES ('sha256:i', 7, 'application/json');
    INSERT INTO layers VALUES ('sha256:c', NULL, 'sha256:d', 1, 40);
    INSERT INTO layers VALUES ('sha256:e', 'sha256:c', 'sha256:f', 2, 2);
    INSERT INTO snapshots VALUES ('container', 'sha256:e', 3);
  `);
  old.close();
  const db = openDatabase(path);
  const read = (sql: string): unknown => db.prepare(sql).all().map(Object.values);
  assert.equal(pragma(db, "user_version"), current);
  assert.deepEqual(read("SELECT chain_id, parent, diff_id, dir, size, tar_size FROM layers"), [
    ["sha256:c", null, "sha256:d", 1, 40, null],
    ["sha256:e", "sha256:c", "sha256:f", 2, 2, null],
  ]);
  assert.deepEqual(read("SELECT * FROM tags"), [["docker.io/library/a:1", "sha256:i"]]);
  assert.deepEqual(read("SELECT * FROM blobs"), [["sha256:i", 7, "application/json"]]);
  assert.deepEqual(read("SELECT * FROM snapshots"), [["container", "sha256:e", 3]]);
  assert.deepEqual(read("SELECT * FROM manifests"), []);
  assert.deepEqual(pragma(db, "foreign_key_check"), undefined);
  db.close();
});

test("a migration that fails changes nothing and can be repeated", (t) => {
  const path = temporaryPath(t);
  openDatabase(path).close();
  assert.throws(() => openDatabase(path, [...migrations, `${next}; INSERT INTO nowhere VALUES (1)`]), {
    kind: "System",
    message: new RegExp(
      `cannot migrate .* from schema version ${current} to ${current + 1}: no such table: nowhere .*; nothing was changed$`,
    ),
  });
  const db = openDatabase(path);
  assert.equal(pragma(db, "user_version"), current);
  assert.equal(db.prepare("SELECT count(*) AS n FROM meta").get()?.["n"], 0);
  db.close();
  const migrated = openDatabase(path, [...migrations, next]);
  assert.equal(pragma(migrated, "user_version"), current + 1);
  migrated.close();
});

test("a database of a newer engine is refused, unchanged, with both versions and the copy in the message", (t) => {
  const path = temporaryPath(t);
  openDatabase(path).close();
  openDatabase(path, [...migrations, next]).close();
  const before = readFileSync(path);
  assert.throws(() => openDatabase(path), {
    kind: "Unavailable",
    message: new RegExp(
      `has schema version ${current + 1}, and this gantryd knows versions up to ${current}: .* put back .*gantry\\.db\\.v${current}\\.bak`,
    ),
  });
  assert.deepEqual(readFileSync(path), before);
});

test("another program's database is refused, unchanged", (t) => {
  const path = temporaryPath(t);
  const other = new DatabaseSync(path);
  other.exec("CREATE TABLE t (x)");
  other.close();
  const before = readFileSync(path);
  assert.throws(() => openDatabase(path), { kind: "DataLoss", message: /it is another program's database/ });
  assert.deepEqual(readFileSync(path), before);
});

test("an empty database with a write-ahead log is damage, and the log is kept", (t) => {
  const path = temporaryPath(t);
  const db = openDatabase(path);
  db.exec("INSERT INTO meta VALUES ('k', 'v')");
  const log = readFileSync(`${path}-wal`);
  db.close();
  writeFileSync(path, "");
  writeFileSync(`${path}-wal`, log);
  assert.throws(() => openDatabase(path), { kind: "DataLoss", message: /empty or missing, but its write-ahead log/ });
  assert.deepEqual(readFileSync(`${path}-wal`), log);
});

test("a process that died before the first migration leaves a file that is simply new", (t) => {
  const path = temporaryPath(t);
  writeFileSync(path, "");
  openDatabase(path).close();
});

test("a directory that cannot be made is named", (t) => {
  const path = temporaryPath(t);
  writeFileSync(path, "");
  assert.throws(() => openDatabase(join(path, "gantry.db")), { kind: "System", message: /cannot make the database/ });
});
