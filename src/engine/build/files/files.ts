// File ops: actions are handed to gantry-copy, as many as there are at once; archives of ADD are unpacked in between. The part of an
// input that an op reads stands for the input in the cache, by a digest that gantry-copy computes over what it would copy.

import { type Digest, parseDigest } from "../../../base/digest.ts";
import { EngineError, isEngineError } from "../../../base/errors.ts";
import type { FileAction, FileOp, Op } from "../graph/index.ts";
import type { StepLayer } from "../layers/index.ts";
import type { OpRunner, RunContext, Selector, Snapshot } from "../solver/index.ts";
import { openArchive } from "./archive.ts";
import { CopyRequest, runCopy, streamCopy } from "./copier.ts";
import type { Files, FilesDeps } from "./index.ts";

type CopyAction = Extract<FileAction, { readonly action: "copy" }>;

/** Of one archive; its bytes are bounded by the disk. */
const maxArchiveEntries = 2_000_000;

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
  const tree = new Writable(deps, step, op.hasBase && parent.length > 0, inputs);
  try {
    for (const action of op.actions) await tree.apply(action, signal);
    await tree.flush(signal);
  } catch (error) {
    if (isEngineError(error, "NotFound"))
      throw new EngineError("NotFound", `failed to calculate checksum of ref ${vertex.digest}: ${error.message}`, {
        cause: error,
      });
    throw error;
  }
  return { kind: "layers", layers: await step.finish(job.clampTimes, signal) };
}

/** The tree of a step, and what is still to be done to it. */
class Writable {
  readonly #deps: FilesDeps;
  readonly #step: StepLayer;
  readonly #hasBase: boolean;
  readonly #inputs: readonly Snapshot[];
  #waiting: FileAction[] = [];

  constructor(deps: FilesDeps, step: StepLayer, hasBase: boolean, inputs: readonly Snapshot[]) {
    this.#deps = deps;
    this.#step = step;
    this.#hasBase = hasBase;
    this.#inputs = inputs;
  }

  async apply(action: FileAction, signal: AbortSignal): Promise<void> {
    if (action.action !== "copy" || action.unpack === "never") {
      this.#waiting.push(action);
      return;
    }
    const matches = await this.#matches(action, signal);
    for (const { path, isFile } of matches) {
      const literal: CopyAction = { ...action, source: `/${path}`, allowWildcard: false, unpack: "never" };
      if (!isFile || !(await this.#unpacked(action, path, signal))) this.#waiting.push(literal);
    }
  }

  /** Runs all that waits. */
  async flush(signal: AbortSignal): Promise<void> {
    if (this.#waiting.length === 0) return;
    const request = this.#destination().words(this.#inputs.length);
    for (const input of this.#inputs) request.words(...treeWords(this.#deps, input));
    for (const action of this.#waiting) addAction(request, action);
    this.#waiting = [];
    await runCopy(this.#deps.copyPath, ["apply"], request, signal);
  }

  #destination(): CopyRequest {
    const { lower, upper, work } = this.#step.dirs;
    return new CopyRequest().words(this.#hasBase ? "base" : "none", lower.length, ...lower, upper, work);
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
  ): Promise<readonly { readonly path: string; readonly isFile: boolean }[]> {
    const request = this.#source(action).words(...sourceWords(action, action.required));
    const listed = await runCopy(this.#deps.copyPath, ["list"], request, signal);
    return listed
      .split("\0")
      .slice(0, -1)
      .map((line) => ({ path: line.slice(1), isFile: line.startsWith("f") }));
  }

  /** @returns false when it is no archive, and may be copied as what it is */
  async #unpacked(action: CopyAction, path: string, signal: AbortSignal): Promise<boolean> {
    const request = this.#source(action).words(path);
    const tar = await openArchive(streamCopy(this.#deps.copyPath, ["cat"], request, signal));
    if (tar === undefined) {
      if (action.unpack === "always")
        throw new EngineError("InvalidParameter", `"/${path}": not an archive that can be unpacked`);
      return false;
    }
    try {
      await this.flush(signal);
      const { chown, chmod } = action.ownership;
      const target = this.#destination().words(action.destination, chown ?? "", chmod ?? "");
      target.words(maxArchiveEntries, Number.MAX_SAFE_INTEGER);
      await runCopy(this.#deps.copyPath, ["extract", this.#deps.unpackPath], target, signal, tar);
      return true;
    } finally {
      await tar.return(undefined);
    }
  }
}

function treeWords({ layers }: FilesDeps, snapshot: Snapshot): readonly (string | number)[] {
  const directories = snapshot.kind === "directory" ? [snapshot.directory.path] : layers.directories(snapshot.layers);
  return [directories.length, ...directories];
}

const wholeTree = { allowWildcard: false, followLinks: true, parents: false, exclude: [] } as const;

type SourceWords = Selector["sources"][number];

function sourceWords(
  source: Omit<SourceWords, "path"> & ({ readonly source: string } | { readonly path: string }),
  required: boolean,
): readonly (string | number)[] {
  const flags = [
    source.allowWildcard ? "w" : "",
    source.followLinks ? "f" : "",
    source.parents ? "p" : "",
    required ? "r" : "",
  ].join("");
  const path = "source" in source ? source.source : source.path;
  return [path, flags, source.exclude.length, ...source.exclude];
}

function addAction(request: CopyRequest, action: FileAction): void {
  const { chown, chmod } = action.ownership;
  const owners = [chown ?? "", chmod ?? ""];
  if (action.action === "copy") {
    request.words("copy", action.input, ...sourceWords(action, action.required), action.destination, ...owners);
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
  const request = new CopyRequest().words(...treeWords(deps, snapshot), known.length / 2, ...known);
  for (const source of selector.sources) request.words(...sourceWords(source, false));
  const hex = await runCopy(deps.copyPath, ["digest"], request, signal);
  return parseDigest(`sha256:${hex.trim()}`);
}
