// Applies commits to the database, many in one transaction, each for itself: what one does wrong is rolled back to its
// own savepoint. No threads here; worker.ts feeds it. After a failure of the disk it refuses every further commit,
// because the kernel reports a failed fsync once and forgets the pages (see docs/durability.md).

import type { DatabaseSync, StatementSync } from "node:sqlite";
import type { ErrorKind } from "../../base/errors.ts";
import { messageOf } from "../../base/errors.ts";
import type { Ballast } from "./ballast.ts";
import { damaged } from "./database.ts";
import type { Change, CommitOptions, TableName } from "./index.ts";
import { columns } from "./schema.ts";
import { classifySqliteError, describeSqliteError, isCorruption, uniqueColumnsOf } from "./sqlite-error.ts";

export interface Commit {
  readonly changes: readonly Change[];
  readonly options: CommitOptions;
}

/** Why a commit did not happen, as it crosses the thread boundary. */
export interface Failure {
  readonly kind: ErrorKind;
  readonly message: string;
}

export interface Writer {
  /** One outcome per commit, in order: undefined when it is on disk. Never throws. */
  write(commits: readonly Commit[]): readonly (Failure | undefined)[];
  /** Why the writer refuses everything, once it does. */
  readonly broken: Failure | undefined;
}

/** True for a commit that may spend the ballast. */
export function freesSpace(commit: Commit): boolean {
  return commit.options.freesSpace === true || commit.changes.every((change) => "delete" in change);
}

/** Thrown to leave the transaction of a whole group. */
class GroupFailed extends Error {}

/**
 * @param path    of the database, for messages
 * @param ballast spent by commits that only delete, or that say that they free space
 */
export function createWriter(db: DatabaseSync, path: string, ballast: Ballast): Writer {
  const statements = new Map<string, StatementSync>();
  let broken: Failure | undefined;

  const prepare = (sql: string): StatementSync => {
    let statement = statements.get(sql);
    if (statement === undefined) statements.set(sql, (statement = db.prepare(sql)));
    return statement;
  };

  const apply = (change: Change): void => {
    if ("delete" in change) {
      prepare(deleteSql(change.delete)).run(change.key);
      return;
    }
    const table = "insert" in change ? change.insert : change.put;
    const row = change.row as unknown as Readonly<Record<string, string | number | null>>;
    const values = columns[table].map((column) => row[column] ?? null);
    prepare("insert" in change ? insertSql(table) : putSql(table)).run(...values);
  };

  const refuse = (error: unknown): Failure => {
    const reason = describeSqliteError(error);
    broken = isCorruption(error)
      ? { kind: "Unavailable", message: `the store is read-only: ${damaged(path, reason).message}` }
      : {
          kind: "Unavailable",
          message: `the store is read-only since writing to ${path} failed: ${reason}. Containers go on; repair the disk, then restart gantryd.`,
        };
    return broken;
  };

  const rollBack = (): void => {
    // SQLite has rolled back already after some failures.
    if (db.isTransaction) db.exec("ROLLBACK");
  };

  /** All commits in one transaction. @throws whatever is not the fault of one commit's changes */
  const writeGroup = (commits: readonly Commit[]): (Failure | undefined)[] => {
    const outcomes: (Failure | undefined)[] = [];
    try {
      db.exec("BEGIN IMMEDIATE");
      for (const commit of commits) {
        prepare("SAVEPOINT one").run();
        let at: Change | undefined;
        try {
          for (at of commit.changes) apply(at);
          outcomes.push(undefined);
        } catch (error) {
          if (!db.isTransaction || !["constraint", "request"].includes(classifySqliteError(error))) throw error;
          prepare("ROLLBACK TO one").run();
          outcomes.push(blame(error, at));
        }
        prepare("RELEASE one").run();
      }
      db.exec("COMMIT");
      return outcomes;
    } catch (error) {
      // References are checked at COMMIT, which does not tell whose they are: find the tables while they can be seen.
      const dangling = classifySqliteError(error) === "constraint" && db.isTransaction ? danglingTables(db) : [];
      rollBack();
      if (dangling.length > 0) throw new GroupFailed(dangling.join(", "), { cause: error });
      throw error;
    }
  };

  const writeOne = (commit: Commit): Failure | undefined => {
    for (;;) {
      if (broken !== undefined) return broken;
      try {
        return writeGroup([commit])[0];
      } catch (error) {
        if (error instanceof GroupFailed) {
          return { kind: "Conflict", message: `${error.message}: a row refers to a row that is not there` };
        }
        if (classifySqliteError(error) !== "full") return refuse(error);
        if (!freesSpace(commit) || !spend(ballast)) {
          return {
            kind: "Unavailable",
            message: `no space left for ${path}: remove containers or images, or free space on its file system otherwise`,
          };
        }
      }
    }
  };

  return {
    write(commits) {
      if (broken !== undefined) return commits.map(() => broken);
      if (commits.length === 1) return commits.map(writeOne);
      try {
        return writeGroup(commits);
      } catch (error) {
        if (!(error instanceof GroupFailed) && classifySqliteError(error) !== "full") {
          const failure = refuse(error);
          return commits.map(() => failure);
        }
        // One at a time, so that the commit at fault is the only one that fails.
        return commits.map(writeOne);
      }
    },
    get broken() {
      return broken;
    },
  };
}

/** "containers.name is taken: "web"" for a unique value; the kind is Conflict. Anything else is a caller's mistake. */
function blame(error: unknown, change: Change | undefined): Failure {
  const taken = uniqueColumnsOf(error);
  if (taken.length === 0 || change === undefined || "delete" in change) {
    return { kind: "System", message: `the store refused ${describe(change)}: ${messageOf(error)}` };
  }
  const row = change.row as unknown as Readonly<Record<string, unknown>>;
  const values = taken.map((name) => JSON.stringify(row[name.slice(name.indexOf(".") + 1)]));
  return { kind: "Conflict", message: `${taken.join(", ")} is taken: ${values.join(", ")}` };
}

function describe(change: Change | undefined): string {
  if (change === undefined) return "a commit";
  if ("delete" in change) return `to delete from ${change.delete}`;
  return "insert" in change ? `to insert into ${change.insert}` : `to put into ${change.put}`;
}

function danglingTables(db: DatabaseSync): readonly string[] {
  return db
    .prepare("SELECT DISTINCT \"table\" || ' refers to ' || parent AS pair FROM pragma_foreign_key_check ORDER BY 1")
    .all()
    .map((row) => String(row["pair"]));
}

function spend(ballast: Ballast): boolean {
  try {
    return ballast.spend();
  } catch {
    return false;
  }
}

function insertSql(table: TableName): string {
  const names = columns[table];
  return `INSERT INTO ${table} (${names.join(", ")}) VALUES (${names.map(() => "?").join(", ")})`;
}

function putSql(table: TableName): string {
  const [key, ...others] = columns[table];
  const updates = others.map((name) => `${name} = excluded.${name}`).join(", ");
  return `${insertSql(table)} ON CONFLICT (${key}) DO UPDATE SET ${updates}`;
}

function deleteSql(table: TableName): string {
  return `DELETE FROM ${table} WHERE ${columns[table][0]} = ?`;
}
