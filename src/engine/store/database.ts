// Opens the database file: modes, pragmas, migrations. Runs in the writer thread only.
//
// The lock is exclusive: one connection reads and writes, the WAL index lives in memory (no -shm file that a full disk
// could turn into SIGBUS), and a second process is refused. Sources: sqlite.org/wal.html (8. Use of WAL without shared
// memory), sqlite.org/pragma.html, sqlite.org/lang_vacuum.html (VACUUM INTO).

import {
  chmodSync,
  closeSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  renameSync,
  rmSync,
  statSync,
} from "node:fs";
import { dirname } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { EngineError } from "../../base/errors.ts";
import { applicationId, migrations as ours } from "./schema.ts";
import { describeSqliteError, isCorruption, sqliteCodeOf } from "./sqlite-error.ts";

/**
 * Opens, creates or migrates the database at `path`; its directory becomes 0700 and the file 0600.
 *
 * @param migrations the n-th leads from schema version n to n + 1
 * @throws Unavailable another process holds the file, or the schema is newer than `migrations`
 * @throws DataLoss    the file is damaged or no database of this engine; it is left as it is
 * @throws System      the directory or the file cannot be made, or a migration failed (nothing of it is applied)
 */
export function openDatabase(path: string, migrations: readonly string[] = ours): DatabaseSync {
  makeFile(path);
  let db: DatabaseSync | undefined;
  try {
    db = new DatabaseSync(path, { timeout: 250, enableForeignKeyConstraints: true });
    db.exec("PRAGMA locking_mode = EXCLUSIVE");
    const isNew = readNumber(db, "schema_version") === 0;
    const application = readNumber(db, "application_id");
    if (!isNew && application !== applicationId) throw damaged(path, "it is another program's database");
    db.exec(`
      PRAGMA journal_mode = WAL;
      PRAGMA synchronous = FULL;
      PRAGMA wal_autocheckpoint = 200;
      PRAGMA journal_size_limit = ${4 << 20};
      PRAGMA cache_size = -1024;
      PRAGMA mmap_size = 0;
      PRAGMA trusted_schema = OFF;
    `);
    migrate(db, path, isNew, migrations);
    return db;
  } catch (error) {
    db?.close();
    throw explain(error, path);
  }
}

/** Path of the copy that is made before a database of schema `version` is migrated. */
export function migrationCopyPath(path: string, version: number): string {
  return `${path}.v${version}.bak`;
}

/** How to go on with a database that cannot be trusted; it is never deleted here. */
export function damaged(path: string, reason: string, cause?: unknown): EngineError {
  return new EngineError(
    "DataLoss",
    `the database ${path} is damaged: ${reason}. It was left as it is. Stop gantryd, keep copies of ${path} and ` +
      `${path}-wal, then either recover it with "sqlite3 ${path} .recover", or put back a copy ` +
      `(${path}.v<n>.bak is the one made before the last migration), or move both files away to start with an empty engine.`,
    { cause },
  );
}

function makeFile(path: string): void {
  const directory = dirname(path);
  try {
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    chmodSync(directory, 0o700);
    const isNew = !existsSync(path);
    // SQLite would delete the WAL of an empty database, and all commits in it.
    if ((isNew || statSync(path).size === 0) && existsSync(`${path}-wal`) && statSync(`${path}-wal`).size > 0) {
      throw damaged(path, "the file is empty or missing, but its write-ahead log has commits");
    }
    // SQLite gives the WAL the mode of the database.
    closeSync(openSync(path, "a", 0o600));
    chmodSync(path, 0o600);
    if (isNew) syncDirectory(directory);
  } catch (cause) {
    if (cause instanceof EngineError) throw cause;
    throw new EngineError("System", `cannot make the database ${path}: ${describeSqliteError(cause)}`, { cause });
  }
}

function migrate(db: DatabaseSync, path: string, isNew: boolean, migrations: readonly string[]): void {
  const version = readNumber(db, "user_version");
  if (version > migrations.length) {
    throw new EngineError(
      "Unavailable",
      `the database ${path} has schema version ${version}, and this gantryd knows versions up to ${migrations.length}: ` +
        `start the gantryd that wrote it, or a newer one` +
        (existsSync(migrationCopyPath(path, migrations.length))
          ? `, or put back ${migrationCopyPath(path, migrations.length)}, which lacks everything since the upgrade`
          : ""),
    );
  }
  if (version === migrations.length) return;
  if (!isNew) copyBeforeMigration(db, path, version);
  db.exec("BEGIN IMMEDIATE");
  try {
    for (const sql of migrations.slice(version)) db.exec(sql);
    db.exec(`PRAGMA application_id = ${applicationId}; PRAGMA user_version = ${migrations.length}; COMMIT`);
  } catch (cause) {
    if (db.isTransaction) db.exec("ROLLBACK");
    throw new EngineError(
      "System",
      `cannot migrate the database ${path} from schema version ${version} to ${migrations.length}: ` +
        `${describeSqliteError(cause)}; nothing was changed`,
      { cause },
    );
  }
}

function copyBeforeMigration(db: DatabaseSync, path: string, version: number): void {
  const copy = migrationCopyPath(path, version);
  const unfinished = `${copy}.tmp`;
  rmSync(unfinished, { force: true });
  closeSync(openSync(unfinished, "w", 0o600));
  db.prepare("VACUUM INTO ?").run(unfinished);
  const file = openSync(unfinished, "r");
  fsyncSync(file);
  closeSync(file);
  renameSync(unfinished, copy);
  syncDirectory(dirname(path));
}

function syncDirectory(directory: string): void {
  const handle = openSync(directory, "r");
  try {
    fsyncSync(handle);
  } finally {
    closeSync(handle);
  }
}

function readNumber(db: DatabaseSync, pragma: string): number {
  return Number(Object.values(db.prepare(`PRAGMA ${pragma}`).get() ?? {})[0] ?? 0);
}

function explain(error: unknown, path: string): unknown {
  if (error instanceof EngineError) return error;
  if (isCorruption(error)) return damaged(path, describeSqliteError(error), error);
  if (((sqliteCodeOf(error) ?? 0) & 0xff) === 5) {
    return new EngineError("Unavailable", `the database ${path} is in use by another process`, { cause: error });
  }
  return new EngineError("System", `cannot open the database ${path}: ${describeSqliteError(error)}`, { cause: error });
}
