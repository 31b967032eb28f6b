// File ops: actions are handed to gantry-copy, as many as there are at once; archives of ADD are unpacked in between. The part of an
// input that an op reads stands for the input in the cache, by a digest that gantry-copy computes over what it would copy.

import { type DiffId, type Digest, parseDigest } from "../../../base/digest.ts";
import { EngineError, isEngineError } from "../../../base/errors.ts";
import { failpoint } from "../../../base/failpoint.ts";
import { layerQuota, namingFullDisk } from "../../images/layer-quota.ts";
import type { FileAction, FileOp, Op } from "../graph/index.ts";
import type { StepLayer } from "../layers/index.ts";
import type { OpRunner, RunContext, Selector, Snapshot } from "../solver/index.ts";
import { openArchive } from "./archive.ts";
import { CopyRequest, runCopy, streamCopy } from "./copier.ts";
import type { Files, FilesDeps } from "./index.ts";

type CopyAction = Extract<FileAction, { readonly action: "copy" }>;

/** Of one archive; the bytes of all that an op unpacks are bounded as a layer's are. */
const maxArchiveEntries = 2_000_000;

/** An action, and which file of its source is meant where a pattern named several: its bytes, in no encoding. */
interface Waiting {
  readonly action: FileAction;
  readonly path?: Buffer;
}

/** See Files. */
export function createFiles(deps: FilesDeps): Files {
  return {
    runner: {
      key: () => Promise.resolve(""),
      run: (op, inputs, context, signal) => runFileOp(deps, fileOp(op), inputs, context, signal),
      selector: (op, input) => selectorOf(fileOp(op), input),
    },
    mergeRunner: createMergeRunner(deps),
    contentDigest: (snapshot, selector, signal) => digestContent(deps, snapshot, selector, signal),
    copyTree: (from, source, directory, signal) => copyTree(deps, from, source, directory, signal),
  };
}

function createMergeRunner({ layers }: FilesDeps): OpRunner {
  return {
    key: () => Promise.resolve(""),
    async run(_op, inputs, _context, signal) {
      const [lower, upper] = [inputs[0], inputs.at(-1)];
      if (lower?.kind !== "layers" || upper?.kind !== "layers")
        throw new EngineError("System", "layers can be put upon layers only");
      if (upper.layers.length === 0) return lower;
      return { kind: "layers", layers: await layers.stack(lower.layers, upper.layers, signal) };
    },
  };
}

/** What is in a directory of a snapshot (or a file of it), into a plain directory. */
async function copyTree(
  deps: FilesDeps,
  from: Snapshot,
  source: string,
  directory: string,
  signal: AbortSignal,
): Promise<void> {
  const request = new CopyRequest().words("none", 0, directory, "").words(1, ...treeWords(deps, from));
  request.words("copy", 0, ...sourceWords({ ...wholeTree, source }, true), "/", "", "");
  await runCopy(deps.copyPath, ["apply"], request, signal);
}

function fileOp(op: Op): FileOp {
  if (op.kind !== "file") throw new EngineError("System", `${op.kind} is no file op`);
  return op;
}

/** Input 0 is written to, if the op has a base; of the others the sources are read. */
function selectorOf(op: FileOp, input: number): Selector | undefined {
  if (op.hasBase && input === 0) return undefined;
  const sources = op.actions.flatMap((action) =>
    action.action === "copy" && action.input === input
      ? [
          {
            path: action.source,
            allowWildcard: action.allowWildcard,
            followLinks: action.followLinks,
            parents: action.parents,
            exclude: action.exclude,
          },
        ]
      : [],
  );
  return sources.length === 0 ? undefined : { sources };
}

async function runFileOp(
  deps: FilesDeps,
  op: FileOp,
  inputs: readonly Snapshot[],
  { job, vertex }: RunContext,
  signal: AbortSignal,
): Promise<Snapshot> {
  const base = op.hasBase ? inputs[0] : undefined;
  if (base !== undefined && base.kind !== "layers")
    throw new EngineError("System", "a step can write upon layers only");
  const parent = base?.layers ?? [];
  await using step = await deps.layers.begin(parent);
  const tree = new Writable(deps, step, belowOf(op, parent, inputs, job.clampTimes), inputs);
  try {
    for (const action of op.actions) await tree.apply(action, signal);
    await tree.flush(signal);
    await failpoint("build.files.copied");
  } catch (error) {
    if (isEngineError(error, "NotFound"))
      throw new EngineError("NotFound", `failed to calculate checksum of ref ${vertex.digest}: ${error.message}`, {
        cause: error,
      });
    throw error;
  }
  return { kind: "layers", layers: await step.finish(job.clampTimes, signal) };
}

/**
 * How a step's tree begins: see gantry-copy's requests. A file that is shared is the kept directory's as well: sealing writes no time
 * into it unless times are clamped, and archives write over what is there.
 */
type Below = "base" | "none" | "share";

function belowOf(
  op: FileOp,
  parent: readonly DiffId[],
  inputs: readonly Snapshot[],
  clampTimes: number | undefined,
): Below {
  if (op.hasBase && parent.length > 0) return "base";
  const isKept = inputs.every((input) => input.kind === "directory");
  const unpacks = op.actions.some((action) => action.action === "copy" && action.unpack !== "never");
  return isKept && !unpacks && clampTimes === undefined ? "share" : "none";
}

/** The tree of a step, and what is still to be done to it. */
class Writable {
  readonly #deps: FilesDeps;
  readonly #step: StepLayer;
  readonly #below: Below;
  readonly #inputs: readonly Snapshot[];
  #waiting: Waiting[] = [];
  #unpackedBytes = 0;

  constructor(deps: FilesDeps, step: StepLayer, below: Below, inputs: readonly Snapshot[]) {
    this.#deps = deps;
    this.#step = step;
    this.#below = below;
    this.#inputs = inputs;
  }

  async apply(action: FileAction, signal: AbortSignal): Promise<void> {
    if (action.action !== "copy" || action.unpack === "never") {
      this.#waiting.push({ action });
      return;
    }
    const matches = await this.#matches(action, signal);
    for (const { path, isFile } of matches) {
      if (isFile && (await this.#unpacked(action, path, signal))) continue;
      this.#waiting.push({ action: { ...action, allowWildcard: false, unpack: "never" }, path });
    }
  }

  /** Runs all that waits. */
  async flush(signal: AbortSignal): Promise<void> {
    if (this.#waiting.length === 0) return;
    const request = this.#destination().words(this.#inputs.length);
    for (const input of this.#inputs) request.words(...treeWords(this.#deps, input));
    for (const waiting of this.#waiting) addAction(request, waiting);
    this.#waiting = [];
    await runCopy(this.#deps.copyPath, ["apply"], request, signal);
  }

  #destination(): CopyRequest {
    const { lower, upper, work } = this.#step.dirs;
    return new CopyRequest().words(this.#below, lower.length, ...lower, upper, work);
  }

  #source(action: CopyAction): CopyRequest {
    return new CopyRequest().words(...treeWords(this.#deps, this.#input(action)));
  }

  #input(action: CopyAction): Snapshot {
    const input = this.#inputs[action.input];
    if (input === undefined) throw new EngineError("System", `there is no input ${action.input}`);
    return input;
  }

  async #matches(
    action: CopyAction,
    signal: AbortSignal,
  ): Promise<readonly { readonly path: Buffer; readonly isFile: boolean }[]> {
    const request = this.#source(action).words(...sourceWords(action, action.required));
    const listed = (await runCopy(this.#deps.copyPath, ["list"], request, signal)).toString("latin1");
    return listed
      .split("\0")
      .slice(0, -1)
      .map((line) => ({ path: Buffer.from(line.slice(1), "latin1"), isFile: line.startsWith("f") }));
  }

  /** @returns false when it is no archive, and may be copied as what it is */
  async #unpacked(action: CopyAction, path: Buffer, signal: AbortSignal): Promise<boolean> {
    const request = this.#source(action).words(path);
    const name = `"/${path.toString().replace(/^\/+/, "")}"`;
    const tar = await openArchive(streamCopy(this.#deps.copyPath, ["cat"], request, signal));
    if (tar === undefined) {
      if (action.unpack === "always")
        throw new EngineError("InvalidParameter", `${name}: not an archive that can be unpacked`);
      return false;
    }
    try {
      await this.flush(signal);
      const { chown, chmod } = action.ownership;
      const target = this.#destination().words(action.destination, chown ?? "", chmod ?? "");
      const { dataRoot, maxLayerBytes } = this.#deps;
      const quota = quotaDeps(dataRoot, maxLayerBytes && Math.max(1, maxLayerBytes - this.#unpackedBytes));
      const bytes = await layerQuota(quota);
      target.words(maxArchiveEntries, bytes);
      try {
        const said = await runCopy(this.#deps.copyPath, ["extract", this.#deps.unpackPath], target, signal, tar);
        this.#unpackedBytes += Number.parseInt(said.toString("latin1"), 10);
      } catch (error) {
        if (!isEngineError(error, "InvalidParameter")) throw error;
        const named = new EngineError(error.kind, `${name}: ${error.message}`, { cause: error });
        throw namingFullDisk(quota, name, bytes, named);
      }
      return true;
    } finally {
      await tar.return(undefined);
    }
  }
}

function quotaDeps(dataRoot: string, maxLayerBytes: number | undefined): Parameters<typeof layerQuota>[0] {
  return maxLayerBytes === undefined ? { dataRoot } : { dataRoot, maxLayerBytes };
}

function treeWords({ layers }: FilesDeps, snapshot: Snapshot): readonly (string | number)[] {
  const directories = snapshot.kind === "directory" ? [snapshot.directory.path] : layers.directories(snapshot.layers);
  return [directories.length, ...directories];
}

const wholeTree = { allowWildcard: false, followLinks: true, parents: false, exclude: [] } as const;

type SourceWords = Selector["sources"][number];

function sourceWords(
  source: Omit<SourceWords, "path"> & ({ readonly source: string } | { readonly path: string | Buffer }),
  required: boolean,
): readonly (string | number | Buffer)[] {
  const flags = [
    source.allowWildcard ? "w" : "",
    source.followLinks ? "f" : "",
    source.parents ? "p" : "",
    required ? "r" : "",
  ].join("");
  const path = "path" in source ? source.path : source.source;
  return [path, flags, source.exclude.length, ...source.exclude];
}

function addAction(request: CopyRequest, { action, path }: Waiting): void {
  const { chown, chmod } = action.ownership;
  const owners = [chown ?? "", chmod ?? ""];
  if (action.action === "copy") {
    const source = sourceWords(path === undefined ? action : { ...action, path }, action.required);
    request.words("copy", action.input, ...source, action.destination, ...owners);
    return;
  }
  request.words(action.action, action.path, action.mode.toString(8), ...owners);
  if (action.action === "mkfile") request.content(action.content);
}

async function digestContent(
  deps: FilesDeps,
  snapshot: Snapshot,
  selector: Selector,
  signal: AbortSignal,
): Promise<Digest> {
  const known =
    snapshot.kind === "directory"
      ? snapshot.directory.entries.flatMap(({ path, type, digest }) =>
          type === "file" && digest !== undefined ? [path, digest.slice("sha256:".length)] : [],
        )
      : [];
  const request = new CopyRequest().words(...treeWords(deps, snapshot), known.length / 2);
  // One by one: a call takes no 100,000 arguments.
  for (const word of known) request.words(word);
  for (const source of selector.sources) request.words(...sourceWords(source, false));
  const hex = (await runCopy(deps.copyPath, ["digest"], request, signal)).toString("latin1");
  return parseDigest(`sha256:${hex.trim()}`);
}
