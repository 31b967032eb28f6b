// registry.db: who has what. One commit makes a push true; the file is held exclusively, which is the lock on the data
// directory: the kernel lets go of it with the process. Blobs themselves are files (blob-files.ts).
// Times are milliseconds since 1970, because they are compared after a restart.

import { chmodSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";
import { EngineError, messageOf } from "../../base/errors.ts";

const applicationId = 0x67726567; // "greg"
const schemaVersion = 1;

const schema = `
CREATE TABLE repositories (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE) STRICT;
CREATE TABLE blobs (digest TEXT NOT NULL PRIMARY KEY, size INTEGER NOT NULL) STRICT, WITHOUT ROWID;
-- fresh_ms: when a push last relied on it.
CREATE TABLE blob_links (
  repository INTEGER NOT NULL REFERENCES repositories,
  digest TEXT NOT NULL REFERENCES blobs ON DELETE CASCADE,
  fresh_ms INTEGER NOT NULL,
  PRIMARY KEY (repository, digest)
) STRICT, WITHOUT ROWID;
CREATE INDEX blob_links_digest ON blob_links (digest);
-- descriptor: as the referrers API shows it. fresh_ms: pushed, or in a cache asked for.
CREATE TABLE manifests (
  repository INTEGER NOT NULL REFERENCES repositories,
  digest TEXT NOT NULL,
  media_type TEXT NOT NULL,
  bytes BLOB NOT NULL,
  subject TEXT,
  artifact_type TEXT,
  descriptor TEXT NOT NULL,
  fresh_ms INTEGER NOT NULL,
  PRIMARY KEY (repository, digest)
) STRICT;
CREATE INDEX manifests_subject ON manifests (repository, subject, digest) WHERE subject IS NOT NULL;
-- What a manifest refers to: blobs and other manifests.
CREATE TABLE needs (
  repository INTEGER NOT NULL,
  manifest TEXT NOT NULL,
  digest TEXT NOT NULL,
  PRIMARY KEY (repository, manifest, digest),
  FOREIGN KEY (repository, manifest) REFERENCES manifests ON DELETE CASCADE
) STRICT, WITHOUT ROWID;
CREATE INDEX needs_digest ON needs (repository, digest);
-- sort: in lower case, the order that the API asks for. checked_ms: when the upstream was last asked (caches).
CREATE TABLE tags (
  repository INTEGER NOT NULL,
  name TEXT NOT NULL,
  sort TEXT NOT NULL,
  digest TEXT NOT NULL,
  checked_ms INTEGER NOT NULL,
  PRIMARY KEY (repository, name),
  FOREIGN KEY (repository, digest) REFERENCES manifests ON DELETE CASCADE
) STRICT, WITHOUT ROWID;
CREATE INDEX tags_order ON tags (repository, sort, name);
CREATE INDEX tags_digest ON tags (repository, digest);
`;

function pragma(database: DatabaseSync, name: string): number {
  return Number(Object.values(database.prepare(`PRAGMA ${name}`).get() ?? {})[0]);
}

function prepare(database: DatabaseSync, path: string): void {
  database.exec(
    "PRAGMA locking_mode=EXCLUSIVE; PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON",
  );
  database.exec("PRAGMA wal_autocheckpoint=200; PRAGMA journal_size_limit=4194304; PRAGMA mmap_size=0");
  database.exec("BEGIN EXCLUSIVE");
  const version = pragma(database, "user_version");
  if (version === 0 && pragma(database, "application_id") === 0) {
    database.exec(schema);
    database.exec(`PRAGMA application_id=${applicationId}; PRAGMA user_version=${schemaVersion}`);
  } else if (pragma(database, "application_id") !== applicationId || version !== schemaVersion)
    throw new EngineError("Conflict", `${path} is another program's, or of another version of gantry registry`);
  database.exec("COMMIT");
}

/**
 * Opens or makes the database.
 *
 * @throws Conflict another process has it, or it is no registry's of this version
 */
export function openDatabase(path: string): DatabaseSync {
  const database = new DatabaseSync(path, { timeout: 0 });
  try {
    chmodSync(path, 0o600);
    prepare(database, path);
  } catch (cause) {
    database.close();
    if (/database is locked/.test(messageOf(cause)))
      throw new EngineError("Conflict", `${path} is in use: another registry serves this data directory`, { cause });
    throw cause;
  }
  return database;
}

/** Runs `work` as one transaction: all of it is on disk when this returns, or nothing. */
export function transaction<T>(database: DatabaseSync, work: () => T): T {
  database.exec("BEGIN IMMEDIATE");
  try {
    const result = work();
    database.exec("COMMIT");
    return result;
  } catch (error) {
    if (database.isTransaction) database.exec("ROLLBACK");
    throw error;
  }
}
