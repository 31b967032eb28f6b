// The stages of one platform, in order: where each begins, and what its instructions make of it.

import { type Digest, parseDigest } from "../../../base/digest.ts";
import type { Platform } from "../../../spec/oci/image.ts";
import type { Dockerfile, WordInstruction } from "../dockerfile/index.ts";
import { applyConfig, expandIn, type LanguageFacts } from "./config-instructions.ts";
import { type CopySource, lowerCopy, upperFirst } from "./copy.ts";
import type { Emitter } from "./emitter.ts";
import { locate } from "./global-args.ts";
import type { PlannedInstruction } from "./index.ts";
import { absolutePath, rooted } from "./paths.ts";
import { normalizePlatform } from "./platforms.ts";
import { showWords } from "./raw-expand.ts";
import { lowerRun } from "./run.ts";
import type { Command, StageNode, StagePlan } from "./stage-node.ts";
import { StageState } from "./stage-state.ts";

export interface StageRun {
  readonly dockerfile: Dockerfile;
  readonly platform: Platform;
  readonly emitter: Emitter;
  readonly withPlatform: boolean;
  readonly facts: LanguageFacts;
  onStep(step: PlannedInstruction): void;
  /** An image was begun with; its own platform may be another than the wanted one. */
  onBase(node: StageNode, wanted: Platform, own: Platform): void;
}

const working = new Set(["run", "copy", "add", "workdir"]);

/** @returns the target stage as it is in the end */
export function lowerStages(plan: StagePlan, run: StageRun): StageState {
  const states = new Map<StageNode, StageState>();
  const ordered = plan.nodes.filter((node) => plan.reachable.has(node));
  const visit = (node: StageNode): StageState => {
    const done = states.get(node);
    if (done !== undefined) return done;
    if (node.base !== undefined) visit(node.base);
    const state = begin(node, states, run);
    states.set(node, state);
    if (node.replacedBy !== undefined || node.index === undefined) return state;
    if (node.base !== undefined) run.onStep({ instruction: node.original, vertex: state.result });
    for (const command of node.commands) for (const source of command.sources) if (source !== undefined) visit(source);
    for (const command of node.commands)
      locate(command.range, () => apply(state, command, (source) => visit(source), run));
    return state;
  };
  for (const node of ordered) visit(node);
  return visit(plan.target);
}

function begin(node: StageNode, states: ReadonlyMap<StageNode, StageState>, run: StageRun): StageState {
  const platform = node.declaredPlatform ?? run.platform;
  const state = new StageState(node, platform);
  const { origin } = node;
  const steps = node.commands.filter(({ instruction, isOnBuild }) => !isOnBuild && working.has(instruction.kind));
  state.total =
    steps.length + (node.base === undefined && node.baseName !== "scratch" && node.index !== undefined ? 1 : 0);
  const base = node.base === undefined ? undefined : states.get(node.base);
  if (base !== undefined) state.inherit(base);
  else if (origin?.kind === "image" && origin.known !== undefined) {
    const { known, wanted } = origin;
    state.begin(known, platform);
    // Nobody said a platform: what the image is for is what runs.
    if (run.emitter.options.platforms.length === 0 && node.declaredPlatform === undefined)
      state.platform = normalizePlatform(state.imagePlatform);
    else run.onBase(node, platform, state.imagePlatform);
    if (known.config.rootfs.diff_ids.length > 0)
      state.result = image(state, node, known.reference, wanted.storeId, run);
    if (node.index !== undefined) run.onStep({ instruction: node.original, vertex: state.result });
  } else if (origin?.kind === "context") beginContext(state, node, run);
  else {
    state.beginEmpty(platform);
    if (node.index !== undefined) run.onStep({ instruction: node.original, vertex: undefined });
  }
  if (base === undefined && node.replacedBy === undefined)
    state.total += node.commands.length - node.commands.filter(({ isOnBuild }) => !isOnBuild).length;
  else if (base !== undefined) state.total += node.commands.filter(({ isOnBuild }) => isOnBuild).length;
  if (base === undefined) state.takeEnvironment();
  return state;
}

function image(
  state: StageState,
  node: StageNode,
  reference: string,
  storeId: string | undefined,
  run: StageRun,
): Digest {
  const { origin } = node;
  if (origin?.kind !== "image" || origin.known === undefined) return run.emitter.emptyTree();
  const { platform } = origin.wanted;
  const { imageId } = origin.known;
  const name = state.prefix(`FROM ${reference}`, run.withPlatform, false);
  if (storeId === undefined)
    return run.emitter.add({ kind: "image", reference, platform, imageId }, [], name, [node.range]);
  return run.emitter.add(
    { kind: "oci-layout", storeId, reference, digest: layoutDigest(reference, imageId), platform },
    [],
    name,
    [node.range],
  );
}

/** What is asked of the layout: the manifest or index that the reference pins. */
function layoutDigest(reference: string, imageId: Digest): Digest {
  const at = reference.lastIndexOf("@");
  return at === -1 ? imageId : parseDigest(reference.slice(at + 1));
}

function beginContext(state: StageState, node: StageNode, run: StageRun): void {
  const { origin } = node;
  if (origin?.kind !== "context") return;
  const { context, name } = origin;
  const platform = node.declaredPlatform ?? run.platform;
  if (context.kind === "result") {
    const { draft } = context;
    const { config, base } = draft;
    state.begin(
      {
        reference: name,
        imageId: draft.result ?? run.emitter.emptyTree(),
        config: { ...config, rootfs: { type: "layers", diff_ids: base?.diffIds ?? [] } },
      },
      platform,
    );
    state.base = base;
    state.history = [...draft.history];
  } else state.beginEmpty(platform);
  state.result = run.emitter.context(context, name, platform, [node.range]).result;
  if (context.kind === "local") state.directory = context.name;
  if (node.index !== undefined) {
    state.steps += state.total > 0 ? 1 : 0;
    run.onStep({ instruction: node.original, vertex: state.result });
  }
}

function apply(state: StageState, command: Command, visit: (node: StageNode) => StageState, run: StageRun): void {
  const { instruction, isOnBuild } = command;
  const { emitter, facts } = run;
  const step = { isOnBuild, withPlatform: run.withPlatform };
  const sourceOf = (index: number): CopySource => {
    const node = command.sources[index];
    if (node === undefined) return mainSource(emitter);
    const { result, directory } = visit(node);
    return {
      result,
      prefix: "/",
      read: (path) => (directory === undefined ? undefined : emitter.note(directory, path)),
    };
  };
  let vertex: Digest | undefined;
  switch (instruction.kind) {
    case "copy":
    case "add":
      readWhole(state, emitter);
      vertex = lowerCopy(state, instruction, () => sourceOf(0), emitter, facts, step);
      break;
    case "run":
      readWhole(state, emitter);
      vertex = lowerRun(state, instruction, sourceOf, emitter, facts, step);
      break;
    case "workdir":
      readWhole(state, emitter);
      vertex = lowerWorkdir(state, instruction, emitter, facts, step);
      break;
    case "arg":
    case "env":
    case "label":
    case "cmd":
    case "entrypoint":
    case "shell":
    case "expose":
    case "volume":
    case "user":
    case "stopsignal":
    case "maintainer":
    case "healthcheck":
    case "onbuild":
      applyConfig(state, instruction, facts);
  }
  run.onStep({ instruction: instruction.original, vertex, ...(isOnBuild ? { isTrigger: true } : {}) });
}

/** A stage that begins with a local directory and is written to, or is the result, needs all of it. */
export function readWhole(state: StageState, emitter: Emitter): void {
  if (state.directory !== undefined) emitter.note(state.directory, "/");
  if (state.result !== undefined) state.result = emitter.asLayers(state.result, [state.node.range]);
}

function mainSource(emitter: Emitter): CopySource {
  const { contextSubdirectory = "" } = emitter.options;
  return {
    result: emitter.mainContext(),
    prefix: rooted(contextSubdirectory),
    read: (path) => emitter.readMain(path),
  };
}

function lowerWorkdir(
  state: StageState,
  instruction: WordInstruction,
  emitter: Emitter,
  facts: LanguageFacts,
  step: { readonly isOnBuild: boolean; readonly withPlatform: boolean },
): Digest | undefined {
  const word = expandIn(state, instruction.word, instruction, facts);
  const path = absolutePath(state.workdir, word);
  // An absolute path is kept as it was written.
  const kept = word.startsWith("/") ? word : path;
  state.config.WorkingDir = kept;
  state.workdirSet = true;
  let vertex: Digest | undefined;
  if (path !== "/") {
    const { User = "" } = state.config;
    const shown = upperFirst(showWords(instruction.original, state.lookup, facts.escape));
    vertex = emitter.add(
      {
        kind: "file",
        hasBase: state.result !== undefined,
        actions: [
          {
            action: "mkdir",
            path,
            mode: 0o755,
            ownership: { chown: User === "" ? undefined : User, chmod: undefined },
          },
        ],
      },
      state.result === undefined ? [] : [state.result],
      state.prefix(shown, step.withPlatform, step.isOnBuild),
      [instruction.range],
    );
    state.result = vertex;
    state.directory = undefined;
  }
  state.commit(`WORKDIR ${kept}`, vertex);
  return vertex;
}
