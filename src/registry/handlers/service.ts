// What the handlers of requests work with.

import type { Auth } from "../auth/index.ts";
import type { Metrics } from "../metrics.ts";
import type { Mirror } from "../mirror/index.ts";
import type { Storage } from "../storage/index.ts";

export interface Policy {
  readonly readOnly: boolean;
  readonly allowDelete: boolean;
  readonly maxUploadBytes: number;
  /** Links that a push relies on are noted anew when they are older than a quarter of this. */
  readonly graceMs: number;
  /** Where clients reach the server; undefined for the host that they called. */
  readonly externalUrl: string | undefined;
}

export interface Service {
  readonly storage: Storage;
  readonly auth: Auth;
  readonly policy: Policy;
  readonly metrics: Metrics;
  /** The upstream that this server is a cache of. */
  readonly mirror: Mirror | undefined;
}

/** Milliseconds since 1970: compared with times on disk, never used as a time-out. */
export function nowMs(): number {
  return Date.now();
}
