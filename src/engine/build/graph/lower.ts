// Dockerfile → graph and images, once per platform. Two passes: the first finds what of local directories is read, so that the second
// can ask for just that.

import type { Digest } from "../../../base/digest.ts";
import { imageConfigOrder, type OciImageConfig, type Platform } from "../../../spec/oci/image.ts";
import type { Dockerfile, Instruction, LintWarning } from "../dockerfile/index.ts";
import { DockerfileError, warningOf } from "../dockerfile/index.ts";
import { suggest } from "../dockerfile/suggest.ts";
import { renderPlatform } from "../../../spec/oci/platform.ts";
import { Emitter, type ReadPaths } from "./emitter.ts";
import { isPredefined } from "./global-args.ts";
import type {
  ImageDraft,
  ImageKey,
  KnownImage,
  Lowered,
  LowerOptions,
  PlannedInstruction,
  WantedImage,
} from "./index.ts";
import { normalizePlatform } from "./platforms.ts";
import { lowerStages, readWhole } from "./lower-stage.ts";
import type { StageNode } from "./stage-node.ts";
import { planStages, wantedKey } from "./stages.ts";
import type { StageState } from "./stage-state.ts";
import { checkSyntax } from "./syntax.ts";

export { imageKey, wantedKey } from "./stages.ts";

function platformsOf(options: LowerOptions): readonly Platform[] {
  const platforms = options.platforms.length === 0 ? [options.buildPlatform] : options.platforms;
  return platforms.map(normalizePlatform);
}

/** Images whose configs must be known before lowering and are not; asked again when they are, as ONBUILD may want more. */
export function wantedImages(
  dockerfile: Dockerfile,
  options: LowerOptions,
  known: ReadonlyMap<ImageKey, KnownImage>,
): readonly WantedImage[] {
  checkSyntax(dockerfile, options.buildArgs);
  const wanted = new Map<ImageKey, WantedImage>();
  for (const platform of platformsOf(options))
    for (const image of planStages(dockerfile, options, platform, known).missing)
      if (!wanted.has(wantedKey(image))) wanted.set(wantedKey(image), image);
  return [...wanted.values()];
}

interface Pass {
  readonly emitter: Emitter;
  readonly images: readonly ImageDraft[];
  readonly steps: readonly PlannedInstruction[];
  readonly warnings: readonly LintWarning[];
  readonly consumed: ReadonlySet<string>;
}

function pass(
  dockerfile: Dockerfile,
  options: LowerOptions,
  known: ReadonlyMap<ImageKey, KnownImage>,
  readable: ReadPaths,
): Pass {
  const emitter = new Emitter(options, readable);
  const images: ImageDraft[] = [];
  const steps: PlannedInstruction[] = dockerfile.globalArgs.map(({ original }) => ({
    instruction: original,
    vertex: undefined,
  }));
  const warnings = new Map<string, LintWarning>();
  const consumed = new Set(dockerfile.globalArgs.flatMap(({ args }) => args.map(({ key }) => key)));
  for (const [index, platform] of platformsOf(options).entries()) {
    const plan = planStages(dockerfile, options, platform, known);
    const [missing] = plan.missing;
    if (missing !== undefined)
      throw new DockerfileError(
        `${missing.reference}: its configuration is not known`,
        missing.range === undefined ? [] : [missing.range],
      );
    const state = lowerStages(plan, {
      dockerfile,
      platform,
      emitter,
      withPlatform: options.platforms.length > 1,
      facts: {
        escape: dockerfile.directives.escape,
        buildArgs: options.buildArgs,
        globalArgs: plan.globalArgs,
        onUnset: (name, instruction, stage) => noteUnset(warnings, name, instruction, stage),
        onArgument: (name) => consumed.add(name),
      },
      onBase: (node, wanted, own) => noteBase(warnings, node, wanted, own),
      onStep: (step) => (index === 0 ? steps.push(step) : undefined),
    });
    readWhole(state, emitter);
    images.push(draftOf(state, platform, options));
  }
  return { emitter, images, steps, warnings: [...warnings.values()], consumed };
}

function noteUnset(
  warnings: Map<string, LintWarning>,
  name: string,
  instruction: Instruction,
  stage: StageState,
): void {
  if (stage.buildArgs.some((arg) => arg.key === name)) return;
  const meant = suggest(name, [...stage.env.keys()], true);
  const hint = meant === undefined ? "" : ` (did you mean $${meant}?)`;
  const detail = `Usage of undefined variable '$${name}'${hint}`;
  const key = `${instruction.range.start.line} ${name}`;
  if (!warnings.has(key)) warnings.set(key, warningOf("UndefinedVar", detail, instruction.range));
}

function noteBase(warnings: Map<string, LintWarning>, node: StageNode, wanted: Platform, own: Platform): void {
  if (wanted.os === own.os && wanted.architecture === own.architecture) return;
  const [expected, actual] = [wanted, own].map((platform) =>
    JSON.stringify(renderPlatform(normalizePlatform(platform))),
  );
  const detail = `Base image ${node.baseName} was pulled with platform ${actual}, expected ${expected} for current build`;
  warnings.set(`${node.range.start.line} base`, warningOf("InvalidBaseImagePlatform", detail, node.range));
}

/** Config members in docker's order. */
function orderedConfig(
  state: StageState,
  labels: Readonly<Record<string, string>>,
): NonNullable<OciImageConfig["config"]> {
  const all = { ...state.config.Labels, ...labels };
  const names = Object.keys(all).sort();
  const config = {
    ...state.config,
    ...(names.length === 0 ? {} : { Labels: Object.fromEntries(names.map((name) => [name, all[name] ?? ""])) }),
  };
  const known = imageConfigOrder.flatMap((name) => {
    const value = config[name];
    return value === undefined || value === null || value === "" ? [] : [[name, value] as const];
  });
  return Object.fromEntries(known);
}

function draftOf(state: StageState, target: Platform, options: LowerOptions): ImageDraft {
  const own = normalizePlatform(state.imagePlatform);
  const platform =
    options.platforms.length === 0
      ? own
      : {
          ...own,
          architecture: target.architecture,
          os: target.os,
          ...(target.variant === undefined ? {} : { variant: target.variant }),
        };
  const same = own.architecture === platform.architecture && own.os === platform.os;
  const variant = same ? platform.variant : target.variant;
  return {
    platform: normalizePlatform(options.platforms.length === 0 ? own : target),
    result: state.result,
    config: {
      architecture: platform.architecture,
      ...(state.author === undefined || state.author === "" ? {} : { author: state.author }),
      ...(variant === undefined ? {} : { variant }),
      os: platform.os,
      ...(platform["os.version"] === undefined ? {} : { "os.version": platform["os.version"] }),
      config: orderedConfig(state, options.labels),
    },
    base: state.base,
    history: state.history,
  };
}

/** Vertices that the images need, inputs first. */
function pruned(emitter: Emitter, images: readonly ImageDraft[]): Lowered["graph"] {
  const kept: Lowered["graph"]["vertices"] extends ReadonlyMap<infer K, infer V> ? Map<K, V> : never = new Map();
  const visit = (digest: Digest): void => {
    const vertex = emitter.vertices.get(digest);
    if (vertex === undefined || kept.has(digest)) return;
    for (const input of vertex.inputs) visit(input);
    kept.set(digest, vertex);
  };
  for (const { result } of images) if (result !== undefined) visit(result);
  return { vertices: kept };
}

/** @throws DockerfileError */
export function lowerDockerfile(
  dockerfile: Dockerfile,
  options: LowerOptions,
  known: ReadonlyMap<ImageKey, KnownImage>,
): Lowered {
  checkSyntax(dockerfile, options.buildArgs);
  const first = pass(dockerfile, options, known, new Map());
  const { emitter, images, steps, warnings, consumed } = pass(dockerfile, options, known, first.emitter.read);
  return {
    graph: pruned(emitter, images),
    images,
    warnings,
    steps,
    unusedBuildArgs: [...options.buildArgs.keys()].filter((name) => !consumed.has(name) && !isPredefined(name)).sort(),
  };
}
