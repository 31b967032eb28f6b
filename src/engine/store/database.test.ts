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

const second = "ALTER TABLE meta ADD COLUMN note TEXT; INSERT INTO meta VALUES ('migrated', 'yes', '2')";

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
  const db = openDatabase(path, [...migrations, second]);
  assert.equal(pragma(db, "user_version"), 2);
  assert.equal(db.prepare("SELECT count(*) AS n FROM meta").get()?.["n"], 2);
  db.close();

  const copyPath = migrationCopyPath(path, 1);
  assert.equal(statSync(copyPath).mode & 0o777, 0o600);
  const copy = openDatabase(copyPath);
  assert.equal(pragma(copy, "user_version"), 1);
  assert.deepEqual({ ...copy.prepare("SELECT * FROM meta").get() }, { key: "k", value: "v" });
  copy.close();
});

test("a migration that fails changes nothing and can be repeated", (t) => {
  const path = temporaryPath(t);
  openDatabase(path).close();
  assert.throws(() => openDatabase(path, [...migrations, `${second}; INSERT INTO nowhere VALUES (1)`]), {
    kind: "System",
    message: /cannot migrate .* from schema version 1 to 2: no such table: nowhere .*; nothing was changed$/,
  });
  const db = openDatabase(path);
  assert.equal(pragma(db, "user_version"), 1);
  assert.equal(db.prepare("SELECT count(*) AS n FROM meta").get()?.["n"], 0);
  db.close();
  const migrated = openDatabase(path, [...migrations, second]);
  assert.equal(pragma(migrated, "user_version"), 2);
  migrated.close();
});

test("a database of a newer engine is refused, unchanged, with both versions and the copy in the message", (t) => {
  const path = temporaryPath(t);
  openDatabase(path).close();
  openDatabase(path, [...migrations, second]).close();
  const before = readFileSync(path);
  assert.throws(() => openDatabase(path), {
    kind: "Unavailable",
    message: /has schema version 2, and this gantryd knows versions up to 1: .* put back .*gantry\.db\.v1\.bak/,
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
