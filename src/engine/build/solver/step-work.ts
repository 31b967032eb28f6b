// Carries a step out and writes down what it made. The record is known before its row is on disk, so that its layers always have
// somebody who needs them; when the row cannot be written the record is unknown again, and the step has failed.

import { type ChainId, type DiffId, chainIdsOf } from "../../../base/digest.ts";
import { EngineError } from "../../../base/errors.ts";
import { failpoint } from "../../../base/failpoint.ts";
import { nowRfc3339Nano } from "../../../base/time.ts";
import type { Vertex } from "../graph/index.ts";
import type { VertexReporter } from "../progress.ts";
import type { CacheRecordOffer, JobContext, Snapshot } from "./index.ts";
import { type CacheRecord, newRecordId } from "./records.ts";
import type { SolverShare } from "./solver-share.ts";

/** A step with all that it needs. */
export interface StepToRun {
  readonly vertex: Vertex;
  readonly keys: readonly string[];
  /** Held by the caller until the work has begun. */
  readonly inputs: readonly Snapshot[];
  /** Records that it builds upon. */
  readonly parents: readonly string[];
  readonly job: JobContext;
}

/** A record, held. */
export interface Recorded {
  readonly value: CacheRecord;
  readonly hold: Disposable;
}

/** Keeps a record and its layers until disposed. */
export function holdRecord({ deps }: SolverShare, record: CacheRecord): Disposable {
  const stack = new DisposableStack();
  stack.use(deps.records.hold(record.id));
  stack.use(deps.layers.keep(record.layers));
  return stack;
}

/**
 * Runs a step when there is a place for it.
 *
 * @throws what its runner throws; what Store.commit throws
 */
export async function carryOutStep(
  share: SolverShare,
  { vertex, keys, inputs, parents, job }: StepToRun,
  report: VertexReporter,
  started: () => void,
  signal: AbortSignal,
): Promise<Recorded> {
  const { deps, slots } = share;
  // The build that began it may leave while others wait.
  await using stack = new AsyncDisposableStack();
  for (const input of inputs)
    if (input.kind === "layers") stack.use(deps.layers.keep(input.layers));
    else stack.use(share.sources.hold(input.directory));
  using _slot = await slots.take(signal);
  await share.collect();
  started();
  const snapshot = await deps.runners[vertex.op.kind].run(vertex.op, inputs, { job, vertex, report }, signal);
  if (snapshot.kind !== "layers") throw new EngineError("System", `${vertex.name}: a step made a directory`);
  await failpoint("build.step.ran");
  const base = inputs[0]?.kind === "layers" ? inputs[0].layers : [];
  const record = {
    id: newRecordId(),
    layers: snapshot.layers,
    chain: chainIdsOf(snapshot.layers),
    parents,
    description: vertex.name,
    type: "regular" as const,
    createdAt: nowRfc3339Nano(),
    sizeBytes: ownBytes(share, snapshot.layers, base),
  };
  return write(share, record, keys);
}

/** Writes down an image's layers that were brought here. */
export function recordSource(
  share: SolverShare,
  { op, name }: Vertex,
  id: string,
  layers: readonly DiffId[],
): Promise<Recorded> {
  const description = "reference" in op ? `pulled from ${op.reference}` : name;
  const record = {
    id,
    layers,
    chain: chainIdsOf(layers),
    parents: [],
    description,
    type: "regular" as const,
    createdAt: share.deps.records.get(id)?.createdAt ?? nowRfc3339Nano(),
    sizeBytes: ownBytes(share, layers, []),
  };
  return write(share, record, share.deps.records.keysOf(id));
}

/** Writes down a record of an external cache whose layers were brought here. */
export function recordOffer(
  share: SolverShare,
  { name }: Vertex,
  { id, layers, createdAt, keys }: CacheRecordOffer,
  foundUnder: readonly string[],
): Promise<Recorded> {
  const record = {
    id,
    layers,
    chain: chainIdsOf(layers),
    parents: [],
    description: name,
    type: "regular" as const,
    createdAt,
    sizeBytes: ownBytes(share, layers, layers.slice(0, -1)),
  };
  return write(share, record, [...new Set([...keys, ...foundUnder])]);
}

async function write(share: SolverShare, record: CacheRecord, keys: readonly string[]): Promise<Recorded> {
  const hold = holdRecord(share, record);
  try {
    await share.deps.records.add(record, keys);
    await failpoint("build.step.recorded");
    await share.collect();
    return { value: record, hold };
  } catch (error) {
    hold[Symbol.dispose]();
    throw error;
  }
}

/** Bytes of the layers that are not the base's. */
function ownBytes({ deps }: SolverShare, layers: readonly DiffId[], base: readonly DiffId[]): number {
  const under = new Set<ChainId>(chainIdsOf(base));
  const own = chainIdsOf(layers).filter((chainId) => !under.has(chainId) && deps.snapshots.has(chainId));
  return own.reduce((sum, chainId) => sum + deps.snapshots.layerSize(chainId), 0);
}
