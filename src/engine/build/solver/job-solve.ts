// One build's graph, solved from its targets backwards: each vertex is first identified (which record it is, or becomes), and its
// files are brought only when somebody reads them. A step that is cached asks its inputs for their identity alone. Whatever a
// build uses is held until its solution is disposed of.

import { type Digest, chainIdsOf } from "../../../base/digest.ts";
import { EngineError, messageOf } from "../../../base/errors.ts";
import { nowRfc3339Nano } from "../../../base/time.ts";
import type { Graph, Op, SourceOp, Vertex } from "../graph/index.ts";
import type { CacheRecordOffer, JobContext, OpRunner, Selector, Snapshot, Solution, Solved } from "./index.ts";
import {
  contentIdOfLayers,
  contentIdOfSource,
  isSource,
  runningKey,
  sourceRecordId,
  stepDefinition,
  stepKey,
} from "./keys.ts";
import { OfferLost, type Offers } from "./offers.ts";
import { type CacheRecord, newRecordId } from "./records.ts";
import { carryOutStep, holdRecord, recordOffer, recordSource } from "./step-work.ts";
import type { SolveRequest, SolverShare } from "./solver-share.ts";
import { canceledText, cancelled } from "./cancelled.ts";
import { VertexFailed } from "./vertex-failed.ts";
import { VertexTelling } from "./vertex-telling.ts";

/** Which record a vertex is. */
interface Identity {
  readonly recordId: string;
  /** What stands for its files in content keys; undefined: only a look at them tells. */
  readonly contentId: string | undefined;
  readonly createdAt: string;
  readonly cached: boolean;
  /** undefined for a source that was not fetched. */
  readonly layers: CacheRecord["layers"] | undefined;
  readonly offer: CacheRecordOffer | undefined;
  readonly keys: readonly string[];
}

interface Node {
  readonly vertex: Vertex;
  readonly telling: VertexTelling;
  identity: Promise<Identity> | undefined;
  snapshot: Promise<Snapshot> | undefined;
  solved: Solved | undefined;
}

const wholeTree: Selector = {
  sources: [{ path: "/", allowWildcard: false, followLinks: false, parents: false, exclude: [] }],
};

/** Solves once. */
export class JobSolve {
  readonly #share: SolverShare;
  readonly #graph: Graph;
  readonly #job: JobContext;
  readonly #offers: Offers | undefined;
  readonly #tellings: Map<Digest, VertexTelling>;
  readonly #outer: AbortSignal;
  readonly #stop = new AbortController();
  readonly #signal: AbortSignal;
  readonly #nodes = new Map<Digest, Node>();
  readonly #holds = new AsyncDisposableStack();
  /** Everything that was begun. */
  readonly #begun: Promise<unknown>[] = [];
  #failure: VertexFailed | OfferLost | undefined;
  #changed = false;

  constructor(share: SolverShare, { graph, job, offers, tellings }: SolveRequest, signal: AbortSignal) {
    this.#tellings = tellings;
    this.#share = share;
    this.#graph = graph;
    this.#job = job;
    this.#offers = offers;
    this.#outer = signal;
    this.#signal = AbortSignal.any([signal, this.#stop.signal]);
  }

  /** @throws VertexFailed, Cancelled; OfferLost when it should be tried again. Nothing of it runs or is held then. */
  async solve(targets: readonly Digest[]): Promise<Solution> {
    for (const target of targets) void this.#snapshot(target);
    await this.#settled();
    if (this.#failure !== undefined || this.#outer.aborted) {
      if (!(this.#failure instanceof OfferLost))
        for (const { telling } of this.#nodes.values()) telling.stopped(canceledText);
      await this.#letGo();
      throw this.#failure ?? cancelled();
    }
    await this.#recordOffers();
    // Sources whose key was enough.
    for (const { vertex, telling, identity } of this.#nodes.values())
      if (isSource(vertex.op) && identity !== undefined) telling.cached();
    const nodes = this.#nodes;
    return {
      get: (vertex) => nodes.get(vertex)?.solved,
      [Symbol.asyncDispose]: () => this.#letGo(),
    };
  }

  /** What was offered and came along with what was fetched is known here from now on. */
  async #recordOffers(): Promise<void> {
    const { layers, records, logger } = this.#share.deps;
    for (const node of this.#nodes.values()) {
      const identity = await node.identity;
      if (identity?.offer === undefined || records.get(identity.recordId) !== undefined) continue;
      if (!layers.has(identity.offer.layers)) continue;
      try {
        this.#holds.use((await recordOffer(this.#share, node.vertex, identity.offer, identity.keys)).hold);
      } catch (error) {
        logger.warn("a record of an external cache was not written", { error: messageOf(error) });
      }
    }
  }

  async #settled(): Promise<void> {
    for (let known = 0; known < this.#begun.length; ) {
      known = this.#begun.length;
      await Promise.allSettled(this.#begun);
    }
  }

  async #letGo(): Promise<void> {
    try {
      await this.#holds.disposeAsync();
    } catch (error) {
      this.#share.deps.logger.error("what a build held was not let go", {
        ref: this.#job.ref,
        error: messageOf(error),
      });
    }
    await this.#share.settle(this.#changed);
  }

  #begin<T>(work: Promise<T>): Promise<T> {
    this.#begun.push(work);
    work.catch(() => undefined);
    return work;
  }

  #node(digest: Digest): Node {
    const known = this.#nodes.get(digest);
    if (known !== undefined) return known;
    const vertex = this.#graph.vertices.get(digest);
    if (vertex === undefined) throw new EngineError("System", `the graph has no vertex ${digest}`);
    const telling = this.#tellings.get(digest) ?? new VertexTelling(this.#job.progress, vertex);
    this.#tellings.set(digest, telling);
    const node = { vertex, telling, identity: undefined, snapshot: undefined, solved: undefined };
    this.#nodes.set(digest, node);
    return node;
  }

  /** Runs a vertex's own work; the first failure stops the rest. */
  async #own<T>(node: Node, work: () => Promise<T>): Promise<T> {
    try {
      if (this.#signal.aborted) throw cancelled();
      return await work();
    } catch (error) {
      // An input's: it was told there.
      if (error instanceof VertexFailed) throw error;
      if (error instanceof OfferLost) {
        this.#fail(error);
        throw error;
      }
      if (this.#signal.aborted) {
        node.telling.stopped(canceledText);
        throw error;
      }
      node.telling.failed(messageOf(error));
      const failed = new VertexFailed(node.vertex.digest, error);
      this.#fail(failed);
      throw failed;
    }
  }

  #fail(failure: VertexFailed | OfferLost): void {
    this.#failure ??= failure;
    this.#stop.abort(cancelled());
  }

  #identity(digest: Digest): Promise<Identity> {
    const node = this.#node(digest);
    if (node.identity !== undefined) return node.identity;
    node.identity = this.#begin(this.#identify(node));
    // Nothing but its content tells what it is: it is needed, and may come while other things run.
    if (node.vertex.op.kind === "local") void this.#snapshot(digest);
    return node.identity;
  }

  async #identify(node: Node): Promise<Identity> {
    const { op } = node.vertex;
    if (isSource(op)) return this.#own(node, () => this.#identifySource(node, op));
    const inputs = await Promise.all(node.vertex.inputs.map((input) => this.#identity(input)));
    return this.#own(node, () => this.#identifyStep(node, inputs));
  }

  async #identifySource({ telling }: Node, op: SourceOp): Promise<Identity> {
    // These ask the world.
    if (op.kind === "git" || op.kind === "http") telling.start();
    const key = await this.#runner(op).key(op, this.#job, this.#signal);
    const common = { cached: false, layers: undefined, offer: undefined, keys: [] };
    if (key === undefined)
      return { ...common, recordId: newRecordId(), contentId: undefined, createdAt: nowRfc3339Nano() };
    const recordId = sourceRecordId(op, key);
    const createdAt = this.#share.deps.records.get(recordId)?.createdAt ?? nowRfc3339Nano();
    return { ...common, recordId, contentId: contentIdOfSource(recordId), createdAt };
  }

  async #identifyStep(node: Node, inputs: readonly Identity[]): Promise<Identity> {
    const { vertex } = node;
    const definition = stepDefinition(vertex.op, this.#job.clampTimes);
    const keys: string[] = [];
    if (inputs.every(({ contentId }) => contentId !== undefined)) {
      const ids = inputs.map(({ recordId }) => recordId);
      keys.push(stepKey("definition", definition, ids));
    }
    const known = this.#find(vertex, keys);
    if (known !== undefined) return this.#hit(node, known, keys);
    const parts = await Promise.all(inputs.map((input, index) => this.#contentId(vertex, index, input)));
    const contentKey = stepKey("content", definition, parts);
    keys.push(contentKey);
    const same = this.#find(vertex, [contentKey]);
    if (same !== undefined) return this.#hit(node, same, keys);
    return this.#carryOut(node, inputs, keys);
  }

  async #contentId(vertex: Vertex, index: number, input: Identity): Promise<string> {
    const selector = this.#runner(vertex.op).selector?.(vertex.op, index);
    if (selector === undefined && input.contentId !== undefined) return input.contentId;
    const snapshot = await this.#snapshot(vertex.inputs[index] as Digest);
    return `files ${await this.#share.deps.contentDigest(snapshot, selector ?? wholeTree, this.#signal)}`;
  }

  /** A record under one of the keys, or one that is offered. */
  #find(vertex: Vertex, keys: readonly string[]): CacheRecord | CacheRecordOffer | undefined {
    if (vertex.ignoreCache) return undefined;
    const { records } = this.#share.deps;
    for (const key of keys) {
      const record = records.find(key);
      if (record !== undefined) {
        if (this.#isThere(record)) return record;
        void this.#begin(this.#share.drop(record));
      }
      const offer = this.#offers?.find(key);
      if (offer === undefined) continue;
      const fetched = records.get(offer.id);
      return fetched !== undefined && this.#isThere(fetched) ? fetched : offer;
    }
    return undefined;
  }

  #isThere({ layers }: CacheRecord): boolean {
    return this.#share.deps.layers.has(layers);
  }

  #hit(node: Node, found: CacheRecord | CacheRecordOffer, keys: readonly string[]): Identity {
    const offer = "fetch" in found ? found : undefined;
    if (!("fetch" in found)) this.#use(found, keys);
    node.telling.cached();
    return this.#identified(node, found, true, offer, keys);
  }

  #identified(
    node: Node,
    found: CacheRecord | CacheRecordOffer,
    cached: boolean,
    offer: CacheRecordOffer | undefined,
    keys: readonly string[],
  ): Identity {
    const { id: recordId, createdAt, layers } = found;
    node.solved = { recordId, createdAt, cached, snapshot: { kind: "layers", layers } };
    return { recordId, createdAt, layers, cached, offer, keys, contentId: contentIdOfLayers(chainIdsOf(layers)) };
  }

  /** Holds a record that is here, to the end. */
  #use(record: CacheRecord, keys: readonly string[]): void {
    this.#holds.use(holdRecord(this.#share, record));
    this.#share.deps.records.touch(record.id);
    this.#remember(record, keys);
  }

  #remember(record: CacheRecord, keys: readonly string[]): void {
    const { records, logger } = this.#share.deps;
    const remembered = records.remember(record.id, keys).catch((error: unknown) => {
      logger.warn("a key of the build cache was not remembered", { record: record.id, error: messageOf(error) });
    });
    void this.#begin(remembered);
  }

  async #carryOut(node: Node, inputs: readonly Identity[], keys: readonly string[]): Promise<Identity> {
    const { vertex, telling } = node;
    const { running } = this.#share;
    this.#changed = true;
    const key = runningKey(vertex, this.#job, keys);
    let snapshots: readonly Snapshot[] = [];
    if (!running.isRunning(key)) {
      snapshots = await Promise.all(vertex.inputs.map((input) => this.#snapshot(input)));
      // Another build may have been quicker.
      const known = this.#find(vertex, keys);
      if (known !== undefined) return this.#hit(node, known, keys);
    }
    const step = {
      vertex,
      keys,
      inputs: snapshots,
      job: this.#job,
      parents: inputs.flatMap(({ recordId, contentId }) => (contentId === undefined ? [] : [recordId])),
    };
    const { value: record, hold } = await running.run(
      key,
      { reporter: telling, onStart: () => telling.start() },
      (made) => holdRecord(this.#share, made),
      (report, started, signal) => carryOutStep(this.#share, step, report, started, signal),
      this.#signal,
    );
    this.#holds.use(hold);
    this.#remember(record, keys);
    telling.complete();
    return this.#identified(node, record, false, undefined, keys);
  }

  #snapshot(digest: Digest): Promise<Snapshot> {
    const node = this.#node(digest);
    node.snapshot ??= this.#begin(this.#bring(node));
    return node.snapshot;
  }

  async #bring(node: Node): Promise<Snapshot> {
    const { op, digest } = node.vertex;
    const identity = await this.#identity(digest);
    if (isSource(op)) return this.#own(node, () => this.#fetchSource(node, op, identity));
    const { layers, offer } = identity;
    if (offer !== undefined) await this.#own(node, () => this.#fetchOffer(offer, identity, node.vertex));
    return { kind: "layers", layers: layers ?? [] };
  }

  async #fetchSource(node: Node, op: SourceOp, identity: Identity): Promise<Snapshot> {
    const { vertex, telling } = node;
    const { recordId } = identity;
    const known = identity.contentId === undefined ? undefined : this.#share.deps.records.get(recordId);
    let snapshot: Snapshot;
    let { createdAt } = identity;
    const cached = known !== undefined && this.#isThere(known);
    if (cached) {
      this.#use(known, []);
      telling.cached();
      snapshot = { kind: "layers", layers: known.layers };
    } else {
      telling.start();
      this.#changed = true;
      const context = { job: this.#job, vertex, report: telling };
      snapshot = await this.#runner(op).run(op, [], context, this.#signal);
      if (snapshot.kind === "directory") this.#holds.use(this.#share.sources.hold(snapshot.directory));
      else {
        const record = await recordSource(this.#share, vertex, recordId, snapshot.layers);
        this.#holds.use(record.hold);
        createdAt = record.value.createdAt;
      }
      telling.complete();
    }
    node.solved = { snapshot, recordId, createdAt, cached };
    return snapshot;
  }

  async #fetchOffer(offer: CacheRecordOffer, identity: Identity, vertex: Vertex): Promise<void> {
    let fetched: Disposable;
    this.#changed = true;
    try {
      fetched = await offer.fetch(this.#signal);
    } catch (error) {
      if (this.#signal.aborted) throw error;
      throw new OfferLost(offer, error);
    }
    using _ = fetched;
    const record = await recordOffer(this.#share, vertex, offer, identity.keys);
    this.#holds.use(record.hold);
  }

  #runner(op: Op): OpRunner {
    return this.#share.deps.runners[op.kind];
  }
}
