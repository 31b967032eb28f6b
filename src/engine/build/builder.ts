// The conductor: opens, cancels and closes jobs, and keeps their history.

import { EngineError, isEngineError, messageOf } from "../../base/errors.ts";
import { nowRfc3339Nano } from "../../base/time.ts";
import type { BuildClient } from "./client.ts";
import type { KeptStep } from "./exec/index.ts";
import { failureOf } from "./failure.ts";
import { History } from "./history.ts";
import type {
  Builder,
  BuilderDeps,
  BuildFailure,
  BuildHistory,
  BuildRecord,
  BuildState,
  FrontendRequest,
  OpenJobRequest,
} from "./index.ts";
import { Job } from "./job.ts";
import type { BuildCache } from "./solver/index.ts";

const knownEntitlements = new Set(["network.host", "security.insecure"]);

class Conductor implements Builder {
  readonly history: BuildHistory;
  readonly #deps: BuilderDeps;
  readonly #history: History;
  readonly #jobs = new Map<string, Job>();
  #closed = false;

  constructor(deps: BuilderDeps) {
    this.#deps = deps;
    const { store, dataRoot, logger } = deps;
    this.#history = new History({ store, dataRoot, logger, job: (ref) => this.#jobs.get(ref) });
    this.history = this.#history;
  }

  get cache(): BuildCache {
    return this.#deps.solver.cache;
  }

  async start(): Promise<void> {
    await this.#history.open();
  }

  open(request: OpenJobRequest, signal: AbortSignal): Job {
    if (this.#closed) throw new EngineError("Unavailable", "the daemon is shutting down");
    const { ref } = request;
    if (this.#jobs.has(ref)) throw new EngineError("Conflict", `job ID ${ref} exists`);
    for (const one of request.entitlements) {
      if (!knownEntitlements.has(one)) throw new EngineError("InvalidParameter", `unknown entitlement ${one}`);
      if (!this.#deps.allowedEntitlements.has(one))
        throw new EngineError("Forbidden", `granting entitlement ${one} is not allowed by build daemon configuration`);
    }
    const job = new Job(this.#deps, request, signal, this.#clientOf, (closing, error) => this.#ended(closing, error));
    this.#jobs.set(ref, job);
    if (!request.internal) this.#history.started({ ...this.#recordOf(job, "running", undefined), attachments: [] });
    return job;
  }

  job(ref: string): Job | undefined {
    return this.#jobs.get(ref);
  }

  cancel(ref: string): boolean {
    const job = this.#jobs.get(ref);
    job?.cancel();
    return job !== undefined;
  }

  async plan(request: FrontendRequest, client: BuildClient, signal: AbortSignal): Promise<string> {
    const { raw } = request;
    const asked = { ref: "", client, entitlements: [], keepFailed: false, internal: true, raw };
    // oxlint-disable-next-line typescript/require-await -- a job's end is awaited
    const job = new Job(this.#deps, asked, signal, this.#clientOf, async () => undefined);
    try {
      return await job.plan(request);
    } finally {
      await job.close({ error: undefined });
    }
  }

  failureOf(error: unknown): BuildFailure {
    return failureOf(error);
  }

  keptStep(stepId: string): KeptStep | undefined {
    return this.#deps.exec.keptStep(stepId);
  }

  async close(): Promise<void> {
    this.#closed = true;
    const jobs = [...this.#jobs.values()];
    for (const job of jobs) job.cancel();
    const error = new EngineError("Cancelled", "the daemon is shutting down");
    await Promise.allSettled(jobs.map((job) => job.close({ error })));
  }

  readonly #clientOf = (sessionId: string): BuildClient | undefined =>
    [...this.#jobs.values()].find(({ request }) => request.client.sessionId === sessionId)?.request.client;

  async #ended(job: Job, error: unknown): Promise<void> {
    if (!job.request.internal) {
      const state = stateOf(error);
      await this.#history.ended(this.#recordOf(job, state, error), job.progress.events(), job.facts.provenance);
    }
    this.#jobs.delete(job.ref);
  }

  #recordOf(job: Job, state: BuildState, error: unknown): Omit<BuildRecord, "attachments"> {
    const { outputs, platforms, request } = job.facts;
    const { source, vertex } = failureOf(error);
    const step = vertex === undefined ? {} : { vertex };
    return {
      ref: job.ref,
      state,
      request,
      createdAt: job.startedAt,
      completedAt: state === "running" ? undefined : nowRfc3339Nano(),
      error: error === undefined ? undefined : { message: messageOf(error), source, ...step },
      outputs,
      ...job.progress.counts(),
      platforms,
      pinned: this.#history.get(job.ref)?.pinned ?? false,
    };
  }
}

function stateOf(error: unknown): BuildState {
  if (error === undefined) return "completed";
  return isEngineError(error, "Cancelled") ? "cancelled" : "failed";
}

/** Reads the history; jobs may be opened when it resolves. */
export async function createBuilder(deps: BuilderDeps): Promise<Builder> {
  const conductor = new Conductor(deps);
  await conductor.start();
  return conductor;
}
