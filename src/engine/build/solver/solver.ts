// The solver: builds' graphs solved with what all builds of an engine share. See job-solve.ts for how one is solved.

import type { Digest } from "../../../base/digest.ts";
import { messageOf } from "../../../base/errors.ts";
import type { Graph } from "../graph/index.ts";
import { EngineBuildCache } from "./cache.ts";
import type { JobContext, Solution, Solver, SolverDeps } from "./index.ts";
import { JobSolve } from "./job-solve.ts";
import { OfferLost } from "./offers.ts";
import type { CacheRecord } from "./records.ts";
import { RunningSteps } from "./running-steps.ts";
import type { SolverShare } from "./solver-share.ts";
import { SourceHolds } from "./source-holds.ts";
import { cancelled } from "./cancelled.ts";
import { Slots } from "../../../base/slots.ts";
import type { VertexTelling } from "./vertex-telling.ts";

/** Drops records whose layers are gone, and what is above the quota. */
export async function createSolver(deps: SolverDeps): Promise<Solver> {
  const solver = new EngineSolver(deps);
  for (const record of deps.records.all()) if (!deps.layers.has(record.layers)) await solver.cache.drop(record);
  await solver.cache.collect();
  return solver;
}

class EngineSolver implements Solver {
  readonly cache: EngineBuildCache;
  readonly #share: SolverShare;
  readonly #deps: SolverDeps;
  readonly #targets = new WeakMap<Solution, readonly Digest[]>();

  constructor(deps: SolverDeps) {
    this.#deps = deps;
    const cache = new EngineBuildCache(deps, (solution) => this.#targets.get(solution) ?? []);
    this.cache = cache;
    this.#share = {
      deps,
      running: new RunningSteps<CacheRecord>(),
      sources: new SourceHolds(),
      slots: new Slots(() => deps.maxParallelism() || Number.POSITIVE_INFINITY, cancelled),
      collect: () => cache.collect(),
      drop: (record) => cache.drop(record),
      settle: async (changed) => {
        // Nobody waits for it.
        deps.records.flush().catch((error: unknown) => {
          deps.logger.warn("uses of the build cache were not written", { error: messageOf(error) });
        });
        const mustGo = changed || cache.mayBeAboveQuota;
        const collected = cache.collect();
        if (mustGo) await collected;
      },
    };
  }

  async solve(graph: Graph, targets: readonly Digest[], job: JobContext, signal: AbortSignal): Promise<Solution> {
    const tellings = new Map<Digest, VertexTelling>();
    for (;;) {
      const offers = this.cache.offersOf(job);
      const attempt = new JobSolve(this.#share, { graph, job, offers, tellings }, signal);
      try {
        const solution = await attempt.solve(targets);
        this.#targets.set(solution, [...targets]);
        return solution;
      } catch (error) {
        if (!(error instanceof OfferLost)) throw error;
        const { offer, cause } = error;
        if (offer.hasLayers)
          this.#deps.logger.warn("an external cache is left alone", { record: offer.id, error: messageOf(cause) });
        offers?.discard(offer);
      }
    }
  }
}
