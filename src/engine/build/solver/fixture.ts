// A world for the solver's tests: layers, a store and sources in memory, and runners whose results follow from their inputs alone, so
// that a naive evaluation of a graph says what a solved one must have. Nothing of it is in the engine.

import { setImmediate as turn, setTimeout as sleep } from "node:timers/promises";
import { type ChainId, type DiffId, type Digest, chainIdsOf, digestOf } from "../../../base/digest.ts";
import { EngineError } from "../../../base/errors.ts";
import { silentLogger } from "../../../base/log.ts";
import { KeyedMutex } from "../../../base/mutex.ts";
import type { LayerRemoval, RootOwner } from "../../snapshots/index.ts";
import type { Change, Store, TableName, Tables } from "../../store/index.ts";
import type { BuildClient } from "../client.ts";
import type { ExecOp, FileOp, Graph, LocalOp, Op, Vertex } from "../graph/index.ts";
import type { BuildLayers } from "../layers/index.ts";
import type { BuildEvent, BuildProgress, VertexProgress } from "../progress.ts";
import type { SourceDirectory } from "../sources/index.ts";
import {
  type CacheEntry,
  type JobContext,
  type OpRunner,
  type ReclaimableStore,
  type RunContext,
  type Selector,
  type Snapshot,
  type Solver,
  type SolverDeps,
  createSolver,
} from "./index.ts";
import { type CacheRecords, openCacheRecords } from "./records.ts";

/** Paths and what is there. */
export type Tree = Readonly<Record<string, string>>;

/** Tables in memory, with the references that the real ones have. */
export class MemoryStore implements Store {
  readonly #tables = new Map<TableName, Map<string, object>>();
  commits = 0;
  /** Set, it is what every commit throws. */
  failure: Error | undefined;

  load<T extends TableName>(table: T): Promise<readonly Tables[T][]> {
    return Promise.resolve([...this.#table(table).values()] as Tables[T][]);
  }

  async commit(changes: readonly Change[]): Promise<void> {
    if (this.failure !== undefined) {
      await turn();
      throw this.failure;
    }
    for (const change of changes) this.#apply(change);
    const records = this.#table("build_records");
    for (const row of this.#table("build_keys").values() as Iterable<Tables["build_keys"]>)
      if (!records.has(row.record_id)) throw new EngineError("Conflict", `key ${row.key} refers to nothing`);
    this.commits++;
    await turn();
  }

  check(): Promise<readonly string[]> {
    return Promise.resolve([]);
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  #table(name: TableName): Map<string, object> {
    const known = this.#tables.get(name) ?? new Map<string, object>();
    this.#tables.set(name, known);
    return known;
  }

  #apply(change: Change): void {
    if ("delete" in change) this.#table(change.delete).delete(change.key);
    else {
      const name = "put" in change ? change.put : change.insert;
      const [key] = Object.values(change.row) as [string];
      this.#table(name).set(key, change.row);
    }
  }
}

interface FakeLayer {
  readonly parent: ChainId | undefined;
  readonly delta: Tree;
  readonly sizeBytes: number;
}

/** Layers by chain id, collected as the snapshotter does it. */
export class MemoryLayers {
  readonly layers = new Map<ChainId, FakeLayer>();
  readonly pins = new Map<ChainId, number>();
  /** Just made: held until somebody keeps them. */
  readonly #fresh = new Map<ChainId, Disposable>();
  readonly #deltas = new Map<DiffId, Tree>();
  readonly #mutex = new KeyedMutex();
  #builds: () => readonly ChainId[] = () => [];
  imageTops: readonly ChainId[] = [];

  setBuildRoots(roots: () => readonly ChainId[]): void {
    this.#builds = roots;
  }

  /** Puts a layer on others; without a change there is none. */
  add(under: readonly DiffId[], delta: Tree, sizeBytes = 10): readonly DiffId[] {
    if (Object.keys(delta).length === 0) return under;
    const diffId = digestOf(JSON.stringify(delta)) as string as DiffId;
    this.#deltas.set(diffId, delta);
    const stack = [...under, diffId];
    this.restore(stack, sizeBytes);
    const top = chainIdsOf(stack).at(-1) as ChainId;
    if (!this.#fresh.has(top)) this.#fresh.set(top, this.#pin(top));
    return stack;
  }

  /** The same while nobody collects. */
  async place(under: readonly DiffId[], delta: Tree, sizeBytes = 10): Promise<readonly DiffId[]> {
    using _ = await this.lock();
    return this.add(under, delta, sizeBytes);
  }

  /** Makes a stack whose layers are known be there. */
  restore(stack: readonly DiffId[], sizeBytes = 10): void {
    const chain = chainIdsOf(stack);
    for (const [index, chainId] of chain.entries())
      if (!this.layers.has(chainId)) {
        const delta = this.#deltas.get(stack[index] as DiffId) ?? {};
        this.layers.set(chainId, { parent: chain[index - 1], delta, sizeBytes });
      }
  }

  treeOf(stack: readonly DiffId[]): Tree {
    const tree: Record<string, string> = {};
    for (const chainId of chainIdsOf(stack)) {
      const layer = this.layers.get(chainId);
      if (layer === undefined) throw new EngineError("DataLoss", `layer ${chainId} is missing`);
      Object.assign(tree, layer.delta);
    }
    return tree;
  }

  has(chainId: ChainId): boolean {
    return this.layers.has(chainId);
  }

  layerSize(chainId: ChainId): number {
    const layer = this.layers.get(chainId);
    if (layer === undefined) throw new EngineError("DataLoss", `layer ${chainId} is missing`);
    return layer.sizeBytes;
  }

  lock(): Promise<Disposable> {
    return this.#mutex.lock("layers");
  }

  neededBy(owner: RootOwner): ReadonlySet<ChainId> {
    return this.#under(owner === "images" ? this.imageTops : this.#builds());
  }

  planCollect(tops: readonly ChainId[], owner: RootOwner = "images"): LayerRemoval {
    const others = owner === "images" ? this.#builds() : this.imageTops;
    const needed = this.#under([...tops, ...others, ...this.pins.keys()]);
    const removed = [...this.layers.keys()].filter((chainId) => !needed.has(chainId)).toReversed();
    const bytes = removed.reduce((sum, chainId) => sum + this.layerSize(chainId), 0);
    return {
      removed,
      bytes,
      changes: [],
      discard: async () => {
        for (const chainId of removed) this.layers.delete(chainId);
        await turn();
      },
    };
  }

  /** The face that builds see. */
  get face(): BuildLayers {
    const none = (): never => {
      throw new EngineError("System", "not in this world");
    };
    return {
      begin: none,
      stack: none,
      has: (stack) => chainIdsOf(stack).every((chainId) => this.layers.has(chainId)),
      keep: (stack) => this.keep(stack),
      directories: () => [],
      chainId: (stack) => chainIdsOf(stack).at(-1),
      sizeBytes: (stack) => chainIdsOf(stack).reduce((_, chainId) => this.layerSize(chainId), 0),
    };
  }

  keep(stack: readonly DiffId[]): Disposable {
    const top = chainIdsOf(stack).at(-1);
    if (top === undefined || !this.layers.has(top)) return { [Symbol.dispose]() {} };
    const pin = this.#pin(top);
    this.#fresh.get(top)?.[Symbol.dispose]();
    this.#fresh.delete(top);
    return pin;
  }

  #pin(top: ChainId): Disposable {
    this.pins.set(top, (this.pins.get(top) ?? 0) + 1);
    let held = true;
    return {
      [Symbol.dispose]: () => {
        if (!held) return;
        held = false;
        const left = (this.pins.get(top) ?? 1) - 1;
        if (left === 0) this.pins.delete(top);
        else this.pins.set(top, left);
      },
    };
  }

  #under(tops: readonly ChainId[]): ReadonlySet<ChainId> {
    const needed = new Set<ChainId>();
    for (const top of tops)
      for (let id: ChainId | undefined = top; id !== undefined && !needed.has(id); id = this.layers.get(id)?.parent)
        needed.add(id);
    return needed;
  }
}

/** Remembers what it is told. */
export class RecordingProgress implements BuildProgress {
  readonly events: BuildEvent[] = [];

  emit(event: BuildEvent): void {
    this.events.push(event);
  }

  vertex(): never {
    throw new EngineError("System", "not in this world");
  }

  subscribe(): never {
    throw new EngineError("System", "not in this world");
  }

  close(): void {}

  /** Last state of each vertex, by name. */
  get vertices(): ReadonlyMap<string, VertexProgress> {
    return new Map(
      this.events.flatMap((event) => (event.kind === "vertex" ? [[event.vertex.name, event.vertex]] : [])),
    );
  }

  logOf(digest: string): string {
    const logs = this.events.flatMap((event) => (event.kind === "log" && event.vertex === digest ? [event.data] : []));
    return Buffer.concat(logs).toString();
  }
}

/** One client's files. */
export interface FakeClient extends BuildClient {
  readonly files: Tree;
}

/** A reclaimable store of one entry. */
export class MemoryReclaimable implements ReclaimableStore {
  entries: CacheEntry[] = [];

  list(): Promise<readonly CacheEntry[]> {
    return Promise.resolve(this.entries);
  }

  remove(id: string): Promise<number> {
    const found = this.entries.find((entry) => entry.id === id);
    this.entries = this.entries.filter((entry) => entry !== found);
    return Promise.resolve(found?.sizeBytes ?? 0);
  }
}

/** What a world's steps do beside their work. */
export interface Behaviour {
  /** Called in each exec step before it makes its layer. */
  inExec(op: ExecOp, context: RunContext, signal: AbortSignal): Promise<void>;
  inSource(op: Op, signal: AbortSignal): Promise<void>;
  /** Bytes of the layer that a step makes. */
  sizeOf(op: Op): number;
}

export class World {
  readonly store = new MemoryStore();
  readonly layers = new MemoryLayers();
  readonly reclaimable = new MemoryReclaimable();
  /** Layers of images by id, made when they are pulled. */
  readonly images = new Map<Digest, readonly Tree[]>();
  /** How often each step ran, by its first argument or kind. */
  readonly ran = new Map<string, number>();
  openDirectories = 0;
  quotaBytes = Number.MAX_SAFE_INTEGER;
  maxParallelism = 0;
  behaviour: Behaviour = { inExec: () => turn(), inSource: () => turn(), sizeOf: () => 10 };
  records!: CacheRecords;
  solver!: Solver;

  static async create(): Promise<World> {
    const world = new World();
    await world.restart();
    return world;
  }

  /** A new solver over what the store has. */
  async restart(): Promise<void> {
    this.records = await openCacheRecords({ store: this.store, logger: silentLogger });
    const { records } = this;
    this.layers.setBuildRoots(() => records.tops());
    this.solver = await createSolver(this.deps());
  }

  deps(): SolverDeps {
    return {
      store: this.store,
      layers: this.layers.face,
      snapshots: this.layers,
      records: this.records,
      runners: this.#runners(),
      contentDigest: (snapshot, selector) => Promise.resolve(this.#digest(snapshot, selector)),
      reclaimable: [this.reclaimable],
      quotaBytes: () => this.quotaBytes,
      maxParallelism: () => this.maxParallelism,
      dataRoot: "/",
      logger: silentLogger,
    };
  }

  job(ref: string, files: Tree = {}, sessionId = ref): JobContext & { readonly progress: RecordingProgress } {
    const client = { sessionId, files } as Partial<FakeClient> as FakeClient;
    const progress = new RecordingProgress();
    return { ref, client, progress, entitlements: new Set(), clampTimes: undefined, keepFailed: false };
  }

  treeOf(snapshot: Snapshot): Tree {
    if (snapshot.kind === "layers") return this.layers.treeOf(snapshot.layers);
    return (snapshot.directory as SourceDirectory & { readonly files: Tree }).files;
  }

  ranCount(name: string): number {
    return this.ran.get(name) ?? 0;
  }

  /** Of running jobs; 0 when every solution was disposed of. */
  get holds(): number {
    return this.records.heldCount + this.layers.pins.size + this.openDirectories;
  }

  #count(name: string): void {
    this.ran.set(name, this.ranCount(name) + 1);
  }

  #digest(snapshot: Snapshot, selector: Selector): Digest {
    const tree = this.treeOf(snapshot);
    return digestOf(JSON.stringify(selector.sources.map(({ path }) => filesAt(tree, path))));
  }

  #runners(): SolverDeps["runners"] {
    const unused: OpRunner = { key: () => Promise.resolve(""), run: () => Promise.reject(new Error("unused")) };
    return {
      image: {
        key: (op) => Promise.resolve("imageId" in op ? op.imageId : undefined),
        run: async (op, _inputs, _context, signal) => {
          if (op.kind !== "image") throw new Error("no image");
          this.#count(op.reference);
          await this.behaviour.inSource(op, signal);
          signal.throwIfAborted();
          let layers: readonly DiffId[] = [];
          for (const delta of this.images.get(op.imageId) ?? []) {
            using _ = this.layers.keep(layers);
            layers = await this.layers.place(layers, delta);
          }
          return { kind: "layers", layers };
        },
      },
      local: {
        key: () => Promise.resolve(undefined),
        run: async (op, _inputs, { job }, signal) => {
          this.#count("local");
          await this.behaviour.inSource(op, signal);
          signal.throwIfAborted();
          return { kind: "directory", directory: this.#directory((job.client as FakeClient).files) };
        },
      },
      git: unused,
      http: {
        key: (op) => Promise.resolve(op.kind === "http" ? `etag of ${op.url}` : undefined),
        run: async (op, _inputs, _context, signal) => {
          if (op.kind !== "http") throw new Error("no download");
          this.#count(op.url);
          await this.behaviour.inSource(op, signal);
          return { kind: "directory", directory: this.#directory({ [op.filename]: op.url }) };
        },
      },
      "oci-layout": unused,
      file: {
        key: () => Promise.resolve(""),
        selector: (op, input) => selectorOf(op, input),
        run: async (op, inputs, { vertex }, signal) => {
          this.#count(vertex.name);
          await turn();
          signal.throwIfAborted();
          return this.#step(op, inputs);
        },
      },
      exec: {
        key: () => Promise.resolve(""),
        run: async (op, inputs, context, signal) => {
          if (op.kind !== "exec") throw new Error("no exec");
          this.#count(op.args[0] ?? "");
          await this.behaviour.inExec(op, context, signal);
          signal.throwIfAborted();
          return this.#step(op, inputs);
        },
      },
      merge: {
        key: () => Promise.resolve(""),
        run: (op, inputs) => this.#step(op, inputs),
      },
    };
  }

  async #step(op: Op, inputs: readonly Snapshot[]): Promise<Snapshot> {
    const [base] = inputs;
    const under = base?.kind === "layers" ? base.layers : [];
    const trees = inputs.map((input) => this.treeOf(input));
    const before = this.layers.treeOf(under);
    const after = evaluateOp(op, trees);
    const delta = Object.fromEntries(Object.entries(after).filter(([path, value]) => before[path] !== value));
    return { kind: "layers", layers: await this.layers.place(under, delta, this.behaviour.sizeOf(op)) };
  }

  #directory(files: Tree): SourceDirectory & { readonly files: Tree } {
    this.openDirectories++;
    return {
      files,
      path: "/nowhere",
      entries: [],
      [Symbol.asyncDispose]: async () => {
        this.openDirectories--;
        await turn();
      },
    };
  }
}

function filesAt(tree: Tree, path: string): Tree {
  const entries = Object.entries(tree).filter(([name]) => path === "/" || name === path);
  return Object.fromEntries(entries.sort(([a], [b]) => (a < b ? -1 : 1)));
}

function selectorOf(op: Op, input: number): Selector | undefined {
  if (op.kind !== "file" || input === 0) return undefined;
  const paths = op.actions.flatMap((action) =>
    action.action === "copy" && action.input === input ? [action.source] : [],
  );
  return {
    sources: paths.map((path) => ({ path, allowWildcard: false, followLinks: false, parents: false, exclude: [] })),
  };
}

/** What an op makes of trees; nothing else counts. */
export function evaluateOp(op: Op, inputs: readonly Tree[]): Tree {
  const base = inputs[0] ?? {};
  if (op.kind === "merge") return Object.assign({}, ...inputs) as Tree;
  if (op.kind === "exec") {
    const [name = ""] = op.args;
    const seen = inputs.map((tree) => filesAt(tree, "/"));
    return name === "true" ? base : { ...base, [`/out/${name}`]: digestOf(JSON.stringify([op.args, seen])) };
  }
  if (op.kind !== "file") throw new Error(`no op: ${op.kind}`);
  const result: Record<string, string> = { ...base };
  for (const action of op.actions) {
    if (action.action !== "copy") continue;
    for (const [path, value] of Object.entries(filesAt(inputs[action.input] ?? {}, action.source)))
      result[`${action.destination}${path}`] = value;
  }
  return result;
}

/** Makes graphs of few words. */
export class GraphMaker {
  readonly vertices = new Map<Digest, Vertex>();

  get graph(): Graph {
    return { vertices: this.vertices };
  }

  image(world: World, name: string, layers: readonly Tree[] = [{ [`/bin/${name}`]: name }]): Digest {
    const imageId = digestOf(JSON.stringify(layers));
    world.images.set(imageId, layers);
    const platform = { os: "linux", architecture: "amd64" };
    return this.#add({ kind: "image", reference: name, platform, imageId }, [], name);
  }

  local(): Digest {
    const op: LocalOp = { kind: "local", name: "context", includePatterns: [], excludePatterns: [], followPaths: [] };
    return this.#add(op, [], "[internal] load build context");
  }

  http(url: string): Digest {
    return this.#add({ kind: "http", url, filename: "/file", checksum: undefined, mode: 0o600 }, [], url);
  }

  copy(base: Digest, from: Digest, source: string, destination = "/app", ignoreCache = false): Digest {
    const op: FileOp = {
      kind: "file",
      hasBase: true,
      actions: [
        {
          action: "copy",
          input: 1,
          source,
          destination,
          allowWildcard: false,
          required: false,
          parents: false,
          exclude: [],
          followLinks: false,
          unpack: "never",
          ownership: { chown: undefined, chmod: undefined },
        },
      ],
    };
    return this.#add(op, [base, from], `COPY ${source} ${destination}`, ignoreCache);
  }

  exec(
    inputs: readonly Digest[],
    name: string,
    options: {
      readonly ignoreCache?: boolean;
      readonly mounts?: ExecOp["mounts"];
      readonly env?: readonly string[];
    } = {},
  ): Digest {
    const op = {
      kind: "exec",
      args: [name],
      env: options.env ?? [],
      ignoredEnv: ["http_proxy"],
      mounts: options.mounts ?? [],
    } as Partial<ExecOp> as ExecOp;
    return this.#add(op, inputs, `RUN ${name}`, options.ignoreCache ?? false);
  }

  merge(lower: Digest, upper: Digest): Digest {
    return this.#add({ kind: "merge" }, [lower, upper], "merge");
  }

  #add(op: Op, inputs: readonly Digest[], name: string, ignoreCache = false): Digest {
    const digest = digestOf(JSON.stringify([op, inputs, ignoreCache]));
    this.vertices.set(digest, { digest, op, inputs, name, ranges: [], ignoreCache });
    return digest;
  }
}

/** What a graph's vertex must be, worked out without a solver. */
export function evaluate(world: World, graph: Graph, digest: Digest, files: Tree): Tree {
  const vertex = graph.vertices.get(digest);
  if (vertex === undefined) throw new Error("no vertex");
  const { op } = vertex;
  if (op.kind === "image") return Object.assign({}, ...(world.images.get(op.imageId) ?? [])) as Tree;
  if (op.kind === "local") return files;
  if (op.kind === "http") return { [op.filename]: op.url };
  return evaluateOp(
    op,
    vertex.inputs.map((input) => evaluate(world, graph, input, files)),
  );
}

/** Waits, unless it is told to stop. */
export async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await sleep(ms, undefined, { signal });
}
