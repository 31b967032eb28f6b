// What the daemon's thread and the writer thread say to each other. Every request has a number and gets one answer;
// requests are served in the order in which they were sent.

import type { LogLevel } from "../../base/log.ts";
import type { TableName } from "./index.ts";
import type { Commit, Failure } from "./writer.ts";

export interface WorkerSettings {
  readonly path: string;
  readonly ballastPath: string;
  readonly ballastBytes: number;
}

export type Request =
  | { readonly id: number; readonly commit: Commit }
  | { readonly id: number; readonly load: TableName }
  | { readonly id: number; readonly check: true }
  | { readonly id: number; readonly close: true };

export type Answer =
  /** The database is open; or it could not be, and the thread ends. */
  | { readonly opened: Failure | undefined }
  /** Of a group of commits, by request. */
  | { readonly committed: readonly { readonly id: number; readonly failure: Failure | undefined }[] }
  /** A part of the rows; `last` ends them. */
  | { readonly id: number; readonly rows: readonly unknown[]; readonly last: boolean }
  | { readonly id: number; readonly complaints: readonly string[] }
  | { readonly id: number; readonly closed: true }
  /** Of a load or check. */
  | { readonly id: number; readonly failure: Failure }
  | { readonly log: Extract<LogLevel, "warn" | "error">; readonly message: string };
