// What the daemon's thread and the name server's worker tell each other.

import type { ContainerId } from "../../../base/ids.ts";
import type { NameClient, NamedEndpoint } from "./index.ts";

/** What the worker is started with. */
export interface WorkerSettings {
  /** Where it listens, once the first batch of changes is in its tables. */
  readonly socketPath: string;
}

/** One change of the tables. */
export type Change =
  | { readonly endpoint: NamedEndpoint }
  | { readonly endpointGone: string }
  | { readonly client: NameClient }
  | { readonly clientGone: ContainerId };

/** To the worker: changes that take effect together, in this order. */
export interface Batch {
  readonly changes: readonly Change[];
}

/** From the worker. */
export type Notice = { readonly listening: true } | { readonly log: "warn" | "error"; readonly message: string };
