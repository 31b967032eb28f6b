// What the builds of an engine share while they are solved, and what one solve is asked.

import type { Digest } from "../../../base/digest.ts";
import type { Graph } from "../graph/index.ts";
import type { JobContext, SolverDeps } from "./index.ts";
import type { Offers } from "./offers.ts";
import type { CacheRecord } from "./records.ts";
import type { RunningSteps } from "./running-steps.ts";
import type { SourceHolds } from "./source-holds.ts";
import type { Slots } from "../../../base/slots.ts";
import type { VertexTelling } from "./vertex-telling.ts";

/** What the builds of an engine share. */
export interface SolverShare {
  readonly deps: SolverDeps;
  readonly running: RunningSteps<CacheRecord>;
  readonly sources: SourceHolds;
  readonly slots: Slots;
  /** Brings the cache below its quota; what fails is logged. */
  collect(): Promise<void>;
  /** The same when a build has let go, with what is left to write. @param changed it did not find everything in the cache */
  settle(changed: boolean): Promise<void>;
  /** Forgets a record whose layers are gone. */
  drop(record: CacheRecord): Promise<void>;
}

/** What is solved; when it is tried again, vertices go on telling. */
export interface SolveRequest {
  readonly graph: Graph;
  readonly job: JobContext;
  readonly offers: Offers | undefined;
  readonly tellings: Map<Digest, VertexTelling>;
}
