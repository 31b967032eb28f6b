// The DAG of stages: which stage, image or context every FROM, --from and mount means, and which of them are needed.
// ONBUILD triggers of bases are put in front of a stage's instructions here, as they may need more.

import { parseNamed, repositoryOf, renderFamiliar, withDefaultTag, type Named } from "../../../base/reference.ts";
import type { Platform } from "../../../spec/oci/image.ts";
import { renderPlatform } from "../../../spec/oci/platform.ts";
import {
  type CopyInstruction,
  type Dockerfile,
  DockerfileError,
  expandWord,
  type Instruction,
  parseTrigger,
  type Range,
  type RunInstruction,
} from "../dockerfile/index.ts";
import { globalArgs, locate } from "./global-args.ts";
import type { ImageKey, KnownImage, LowerOptions, NamedContext, WantedImage } from "./index.ts";
import { parseBuildPlatform } from "./platforms.ts";
import type { Command, NodeOrigin, StageNode, StagePlan } from "./stage-node.ts";
import { reachableFrom, refuseCycles, refuseForward, union } from "./stage-reach.ts";
import { withSuggestion, suggest } from "../dockerfile/suggest.ts";

/** Key of `known`: reference and platform. */
export function imageKey(reference: string, platform: Platform): ImageKey {
  return `${reference} ${renderPlatform(platform)}`;
}

/** The key under which an image that was wanted is known. */
export function wantedKey(wanted: WantedImage): ImageKey {
  const store = wanted.storeId === undefined ? "" : `oci-layout://${wanted.storeId}/`;
  return imageKey(store + wanted.reference, wanted.platform);
}

/** "docker.io/library/busybox:1.36@sha256:…": whole, with tag and digest as they were written. */
export function canonicalName(named: Named): string {
  const { tag, digest } = withDefaultTag(named);
  return `${repositoryOf(named)}${tag === undefined ? "" : `:${tag}`}${digest === undefined ? "" : `@${digest}`}`;
}

function findContext(name: string, platform: Platform, options: LowerOptions): NamedContext | undefined {
  if (/^(?:scratch|context)$/i.test(name)) return undefined;
  const names = [name.toLowerCase()];
  try {
    const familiar = renderFamiliar(parseNamed(name));
    names.push(familiar, familiar.replace(/:latest$/, ""));
  } catch {
    // Not an image's name: only the name itself can be a context's.
  }
  for (const candidate of names) {
    const found = options.contexts.get(`${candidate}::${renderPlatform(platform)}`) ?? options.contexts.get(candidate);
    if (found !== undefined) return found;
  }
  return undefined;
}

class StagePlanner {
  readonly nodes: StageNode[] = [];
  readonly byName = new Map<string, StageNode>();
  readonly args: Map<string, string>;
  readonly dockerfile: Dockerfile;
  readonly options: LowerOptions;
  readonly platform: Platform;
  readonly known: ReadonlyMap<ImageKey, KnownImage>;

  constructor(
    dockerfile: Dockerfile,
    options: LowerOptions,
    platform: Platform,
    known: ReadonlyMap<ImageKey, KnownImage>,
  ) {
    this.dockerfile = dockerfile;
    this.options = options;
    this.platform = platform;
    this.known = known;
    this.args = globalArgs(dockerfile, options, platform);
  }

  plan(): StagePlan {
    for (const index of this.dockerfile.stages.keys()) this.addStage(index);
    const declared = [...this.nodes];
    for (const node of declared) {
      if (node.replacedBy !== undefined) continue;
      const instructions = this.dockerfile.stages[node.index ?? 0]?.instructions ?? [];
      node.commands = instructions.map((instruction) => this.command(instruction, false, instruction.range));
    }
    refuseCycles(this.nodes);
    const only = this.nodes.length === 1 ? this.nodes[0] : undefined;
    const mounts = this.dockerfile.stages.some(({ instructions }) =>
      instructions.some((one) => one.kind === "run" && one.mounts.length > 0),
    );
    // A mount may be of another stage: BuildKit names stages where there can be several.
    if (only !== undefined && !mounts) only.displayName = "";
    const target = this.target(declared);
    let reachable = new Set<StageNode>();
    const missing = new Map<ImageKey, WantedImage>();
    for (let more = true; more; ) {
      reachable = this.options.allStages === true ? union(declared.map(reachableFrom)) : reachableFrom(target);
      more = false;
      for (const node of reachable) {
        this.resolve(node, missing);
        if (this.runTriggers(node)) more = true;
      }
      refuseCycles(this.nodes);
    }
    refuseForward(reachable);
    return { nodes: this.nodes, target, reachable, globalArgs: this.args, missing: [...missing.values()] };
  }

  private addStage(index: number): void {
    const stage = this.dockerfile.stages[index];
    if (stage === undefined) return;
    const { from } = stage;
    const lookup = (name: string): string | undefined => this.args.get(name);
    const { escape } = this.dockerfile.directives;
    const baseName = locate(from.range, () => expandWord(from.baseName, lookup, escape).text);
    if (baseName === "") throw new DockerfileError(`base name (${from.baseName}) should not be blank`, [from.range]);
    const declaredPlatform = this.declaredPlatform(index);
    const name = from.stageName ?? "";
    const replacedBy = name === "" ? undefined : findContext(name, declaredPlatform ?? this.platform, this.options);
    const { noCache } = this.options;
    const node: StageNode = {
      index,
      name,
      displayName: name === "" ? `stage-${index}` : name,
      baseName,
      range: from.range,
      original: from.original,
      base: replacedBy === undefined ? this.byName.get(baseName) : undefined,
      replacedBy,
      declaredPlatform,
      ignoreCache: typeof noCache === "boolean" ? noCache : noCache.some((one) => one.toLowerCase() === name),
      commands: [],
      origin: undefined,
      triggersDone: false,
    };
    this.nodes.push(node);
    if (name !== "") this.byName.set(name.toLowerCase(), node);
  }

  private declaredPlatform(index: number): Platform | undefined {
    const from = this.dockerfile.stages[index]?.from;
    if (from?.platform === undefined) return undefined;
    const written = from.platform;
    return locate(from.range, () => {
      const { text, unset } = expandWord(written, (name) => this.args.get(name), this.dockerfile.directives.escape);
      const meant = unset.map((name) => suggest(name, [...this.args.keys()], true)).find((one) => one !== undefined);
      const hint = meant === undefined ? "" : ` (did you mean ${meant}?)`;
      if (text === "")
        throw new DockerfileError(`empty platform value from expression ${written}${hint}`, [from.range]);
      try {
        return parseBuildPlatform(text, this.options.buildPlatform);
      } catch (error) {
        const reason = error instanceof Error ? error.message : String(error);
        throw new DockerfileError(`failed to parse platform ${written}: ${reason}${hint}`, [from.range], {
          cause: error,
        });
      }
    });
  }

  private target(declared: readonly StageNode[]): StageNode {
    const last = declared.at(-1);
    if (last === undefined) throw new DockerfileError("dockerfile contains no stages to build", []);
    const { target } = this.options;
    if (target === "") return last;
    const named = this.byName.get(target.toLowerCase());
    if (named !== undefined) return named;
    const byIndex = /^\d+$/.test(target) ? declared[Number(target)] : undefined;
    if (byIndex !== undefined) return byIndex;
    const names = declared.map(({ name }) => name).filter((name) => name !== "");
    const message = `target stage ${JSON.stringify(target)} could not be found`;
    throw new DockerfileError(withSuggestion(message, target, names, true), []);
  }

  private command(instruction: Instruction, isOnBuild: boolean, range: Range): Command {
    return { instruction, isOnBuild, range, sources: this.sources(instruction, range) };
  }

  private sources(instruction: Instruction, range: Range): readonly (StageNode | undefined)[] {
    if (instruction.kind === "copy") return this.copySources(instruction, range);
    if (instruction.kind === "run") return this.mountSources(instruction, range);
    return [];
  }

  private copySources(instruction: CopyInstruction, range: Range): readonly (StageNode | undefined)[] {
    const { from } = instruction;
    if (from === undefined || from === "") return [];
    if (/[$'"\\]/.test(from))
      throw new DockerfileError(
        "variable expansion is not supported for --from, define a new stage with FROM using ARG from global scope as a workaround",
        [range],
      );
    return [this.find(from, range)];
  }

  private mountSources(instruction: RunInstruction, range: Range): readonly (StageNode | undefined)[] {
    return instruction.mounts.map(({ type, from }) => {
      if (type === "cache" && (from === undefined || from === "")) return this.find("scratch", range);
      if (from === undefined || from === "" || type === "tmpfs" || type === "secret" || type === "ssh")
        return undefined;
      return this.find(from, range);
    });
  }

  /** A stage by name or number, else an image or context of that name. */
  private find(from: string, range: Range): StageNode {
    const named = this.byName.get(from.toLowerCase());
    if (named !== undefined) return named;
    if (/^\d+$/.test(from)) {
      const stage = this.nodes[Number(from)];
      if (stage?.index === undefined) throw new DockerfileError(`invalid stage index ${from}`, [range]);
      return stage;
    }
    const node: StageNode = {
      index: undefined,
      name: "",
      displayName: "",
      baseName: from,
      range,
      original: "",
      base: undefined,
      replacedBy: undefined,
      declaredPlatform: undefined,
      ignoreCache: false,
      commands: [],
      origin: undefined,
      triggersDone: true,
    };
    this.nodes.push(node);
    return node;
  }

  private resolve(node: StageNode, missing: Map<ImageKey, WantedImage>): void {
    if (node.base !== undefined || node.origin !== undefined) return;
    const platform = node.declaredPlatform ?? this.platform;
    if (node.replacedBy !== undefined) {
      node.origin = this.fromContext(node.name, node.replacedBy, platform, node.range, missing);
      return;
    }
    if (node.baseName === "scratch") {
      node.origin = { kind: "scratch" };
      return;
    }
    const context = findContext(node.baseName, platform, this.options);
    if (context !== undefined) {
      node.origin = this.fromContext(node.baseName, context, platform, node.range, missing);
      return;
    }
    node.origin = this.wanted(
      { reference: canonicalOf(node.baseName, node.range), platform, range: node.range },
      missing,
    );
  }

  private fromContext(
    name: string,
    context: NamedContext,
    platform: Platform,
    range: Range,
    missing: Map<ImageKey, WantedImage>,
  ): NodeOrigin | undefined {
    if (context.kind === "image")
      return this.wanted({ reference: canonicalOf(context.reference, range), platform, range }, missing);
    if (context.kind === "oci-layout")
      return this.wanted({ reference: context.reference, storeId: context.storeId, platform, range }, missing);
    return { kind: "context", name, context };
  }

  private wanted(wanted: WantedImage, missing: Map<ImageKey, WantedImage>): NodeOrigin | undefined {
    const key = wantedKey(wanted);
    const known = this.known.get(key);
    if (known === undefined) missing.set(key, wanted);
    return { kind: "image", wanted, known };
  }

  /** @returns whether there are trees now that were not there before */
  private runTriggers(node: StageNode): boolean {
    if (node.triggersDone || node.replacedBy !== undefined) return false;
    const inherited = node.base?.commands.flatMap(({ instruction }) =>
      instruction.kind === "onbuild" ? [instruction.trigger] : [],
    );
    const ofImage = node.origin?.kind === "image" ? node.origin.known?.config.config?.OnBuild : [];
    if (node.origin?.kind === "image" && node.origin.known === undefined) return false;
    node.triggersDone = true;
    const triggers = [...(ofImage ?? []), ...(inherited ?? [])];
    const commands = triggers.map((text) => {
      const instruction = locate(node.range, () => parsed(text, node.range));
      return this.command(instruction, true, node.range);
    });
    node.commands = [...commands, ...node.commands];
    return commands.some(({ sources }) => sources.length > 0);
  }
}

function parsed(trigger: string, range: Range): Instruction {
  try {
    return parseTrigger(trigger);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new DockerfileError(`ONBUILD ${trigger}: ${reason}`, [range], { cause: error });
  }
}

function canonicalOf(name: string, range: Range): string {
  try {
    return canonicalName(parseNamed(name));
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new DockerfileError(`failed to parse stage name ${JSON.stringify(name)}: ${reason}`, [range], {
      cause: error,
    });
  }
}

/** @throws DockerfileError a stage, platform or name that is none; cycles */
export function planStages(
  dockerfile: Dockerfile,
  options: LowerOptions,
  platform: Platform,
  known: ReadonlyMap<ImageKey, KnownImage>,
): StagePlan {
  return new StagePlanner(dockerfile, options, platform, known).plan();
}
