// What a failure of SQLite means to the store. Source: sqlite.org/rescode.html (the low byte is the primary code).

import { messageOf } from "../../base/errors.ts";

/**
 * constraint: the commit at fault breaks a rule of the tables. full: no space, quota or file size left; may end.
 * broken: the file or the disk cannot be trusted any more. request: the statement at fault, nothing else.
 */
export type SqliteFailure = "constraint" | "full" | "broken" | "request";

const primary = {
  5: "broken", // BUSY: with an exclusive lock, somebody else writes the file
  6: "broken", // LOCKED
  8: "broken", // READONLY
  10: "broken", // IOERR, fsync included
  11: "broken", // CORRUPT
  13: "full", // FULL
  14: "broken", // CANTOPEN
  15: "broken", // PROTOCOL
  19: "constraint", // CONSTRAINT
  26: "broken", // NOTADB
} as const satisfies Readonly<Record<number, SqliteFailure>>;

/** SQLite's extended result code, or undefined when something else was thrown. */
export function sqliteCodeOf(error: unknown): number | undefined {
  if (!(error instanceof Error) || !("errcode" in error)) return undefined;
  return typeof error.errcode === "number" ? error.errcode : undefined;
}

export function classifySqliteError(error: unknown): SqliteFailure {
  const code = (sqliteCodeOf(error) ?? 0) & 0xff;
  return code in primary ? primary[code as keyof typeof primary] : "request";
}

/** True where the content of the file is wrong, not only the access to it. */
export function isCorruption(error: unknown): boolean {
  const code = (sqliteCodeOf(error) ?? 0) & 0xff;
  return code === 11 || code === 26;
}

/** SQLite's own words with its code: "disk I/O error (1034)". */
export function describeSqliteError(error: unknown): string {
  const code = sqliteCodeOf(error);
  return code === undefined ? messageOf(error) : `${messageOf(error)} (SQLite ${code})`;
}

/** The columns that a UNIQUE or PRIMARY KEY failure names: "endpoints.network_id", "endpoints.ip". */
export function uniqueColumnsOf(error: unknown): readonly string[] {
  const named = /^UNIQUE constraint failed: (.+)$/.exec(messageOf(error))?.[1];
  return named === undefined ? [] : named.split(", ");
}
