// The rules of `docker build --check` that need nothing but the text and the request. UndefinedVar and InvalidBaseImagePlatform need
// base images and are the graph's. Source: docker's documentation, "Build checks"; where it is vague, BuildKit 0.25 was asked.

import { isEngineError } from "../../../base/errors.ts";
import { expandWord } from "./expand.ts";
import { lintCopyIgnored } from "./lint-copy.ts";
import { lintFrom } from "./lint-from.ts";
import { type LintRuleName, isSkipped, warningOf } from "./lint-rules.ts";
import type { Directives, Dockerfile, FromInstruction, Instruction, LintWarning, Range, Stage } from "./index.ts";
import { cutKeyword } from "./lines.ts";
import { cutFlags, isLegacyPair } from "./words.ts";
import { quote } from "./go.ts";

export { lintRules } from "./lint-rules.ts";

/** What the rules need that is not in the text. */
export interface LintFacts {
  readonly buildArgs: ReadonlyMap<string, string>;
  /** Names of named contexts, lower-cased. */
  readonly contexts: ReadonlySet<string>;
  readonly target: string;
  /** Patterns of .dockerignore: CopyIgnoredFile. */
  readonly ignorePatterns: readonly string[];
  /** Platform of the host and of the target, "linux/amd64". */
  readonly buildPlatform: string;
  readonly targetPlatforms: readonly string[];
  /** `# check=` as it counts, where a build argument overrules the directive. */
  readonly check?: Directives["check"];
}

/** Reports a finding of a rule. */
export type Report = (rule: LintRuleName, detail: string, range: Range) => void;

/** Findings in the order of lines, without those of skipped rules, and without `dockerfile.warnings`. */
export function lintDockerfile(dockerfile: Dockerfile, facts: LintFacts): readonly LintWarning[] {
  const check = facts.check ?? dockerfile.directives.check;
  const warnings: LintWarning[] = [];
  const report: Report = (rule, detail, range) => {
    if (!isSkipped(rule, check)) warnings.push(warningOf(rule, detail, range));
  };
  const escape = dockerfile.directives.escape;
  for (const arg of dockerfile.globalArgs) lintDescription(arg, report);
  lintFrom(dockerfile, facts, report);
  lintCasing(dockerfile, report);
  const shells = inherited(dockerfile, "shell");
  for (const stage of dockerfile.stages) {
    lintRepeated(stage, report);
    lintCommandForms(stage, shells[stage.index] === true, report);
    lintDescription(stage.from, report);
    for (const instruction of stage.instructions) lintInstruction(instruction, escape, report);
  }
  lintWorkdirs(dockerfile, report);
  lintCopyIgnored(dockerfile, facts.ignorePatterns, report);
  return warnings.toSorted((left, right) => left.range.start.line - right.range.start.line);
}

/**
 * The error of a build whose checks are errors (`# check=error=true`).
 *
 * @returns undefined when there is nothing to complain about
 */
export function lintViolation(warnings: readonly LintWarning[], check: Directives["check"]): string | undefined {
  if (!check.error || warnings.length === 0) return undefined;
  return `lint violation found for rules: ${[...new Set(warnings.map((warning) => warning.rule))].join(", ")}`;
}

function allInstructions(dockerfile: Dockerfile): readonly (Instruction | FromInstruction)[] {
  return [...dockerfile.globalArgs, ...dockerfile.stages.flatMap((stage) => [stage.from, ...stage.instructions])];
}

function lintCasing(dockerfile: Dockerfile, report: Report): void {
  const keywords = allInstructions(dockerfile).map((instruction) => ({
    keyword: cutKeyword(instruction.original).keyword,
    range: instruction.range,
  }));
  const lower = keywords.filter(({ keyword }) => keyword === keyword.toLowerCase()).length;
  const upper = keywords.filter(({ keyword }) => keyword === keyword.toUpperCase()).length;
  const majority = lower > upper ? "lowercase" : "uppercase";
  for (const { keyword, range } of keywords) {
    const wanted = majority === "lowercase" ? keyword.toLowerCase() : keyword.toUpperCase();
    if (keyword !== wanted)
      report(
        "ConsistentInstructionCasing",
        `Command '${keyword}' should match the case of the command majority (${majority})`,
        range,
      );
  }
}

function lintRepeated(stage: Stage, report: Report): void {
  for (const kind of ["cmd", "entrypoint", "healthcheck"] as const)
    for (const earlier of stage.instructions.filter((instruction) => instruction.kind === kind).slice(0, -1))
      report(
        "MultipleInstructionsDisallowed",
        `Multiple ${kind.toUpperCase()} instructions should not be used in the same stage because only the last one will be used`,
        earlier.range,
      );
}

/** Of each stage, the earlier stage of the file that it is built upon. */
function parentsOf(dockerfile: Dockerfile): readonly (number | undefined)[] {
  const indexes = new Map<string, number>();
  return dockerfile.stages.map(({ from, index }) => {
    const parent = indexes.get(from.baseName.toLowerCase());
    if (from.stageName !== undefined) indexes.set(from.stageName, index);
    return parent;
  });
}

/** Of each stage, whether it or one that it is built upon has such an instruction. */
function inherited(dockerfile: Dockerfile, kind: Instruction["kind"]): readonly boolean[] {
  const parents = parentsOf(dockerfile);
  const has: boolean[] = [];
  for (const stage of dockerfile.stages) {
    const parent = parents[stage.index];
    const own = stage.instructions.some((instruction) => instruction.kind === kind);
    has.push(own || (parent !== undefined && has[parent] === true));
  }
  return dockerfile.stages.map((stage) => has[parents[stage.index] ?? -1] === true);
}

function lintCommandForms(stage: Stage, inheritsShell: boolean, report: Report): void {
  let shell = inheritsShell;
  for (const instruction of stage.instructions) {
    if (instruction.kind === "shell") shell = true;
    if (shell || (instruction.kind !== "cmd" && instruction.kind !== "entrypoint")) continue;
    if (instruction.command.form === "shell")
      report(
        "JSONArgsRecommended",
        `JSON arguments recommended for ${instruction.kind.toUpperCase()} to prevent unintended behavior related to OS signals`,
        instruction.range,
      );
  }
}

const secretName = /(?:_|^)(?:apikey|auth|credential|credentials|key|password|pword|passwd|secret|token)(?:_|$)/i;
const publicName = /(?:_|^)public(?:_|$)/i;

function lintInstruction(instruction: Instruction, escape: "\\" | "`", report: Report): void {
  const { kind, range } = instruction;
  if (kind === "maintainer")
    report("MaintainerDeprecated", "Maintainer instruction is deprecated in favor of using label", range);
  if (kind === "arg") lintDescription(instruction, report);
  if (kind === "arg" || kind === "env") {
    const keys = kind === "arg" ? instruction.args : instruction.pairs;
    for (const { key } of keys)
      if (secretName.test(key) && !publicName.test(key))
        report(
          "SecretsUsedInArgOrEnv",
          `Do not use ARG or ENV instructions for sensitive data (${kind.toUpperCase()} ${quote(key)})`,
          range,
        );
  }
  if (kind === "env" || kind === "label") {
    const name = kind.toUpperCase();
    if (isLegacyPair(cutFlags(cutKeyword(instruction.original).rest).rest, escape))
      report(
        "LegacyKeyValueFormat",
        `"${name} key=value" should be used instead of legacy "${name} key value" format`,
        range,
      );
  }
  if (kind === "expose") lintExpose(instruction.words, range, report);
}

function lintExpose(words: readonly string[], range: Range, report: Report): void {
  for (const word of words) {
    if (word.replace(/\$\{[^}]*\}/g, "").includes(":"))
      report(
        "ExposeInvalidFormat",
        `EXPOSE instruction should not define an IP address or host-port mapping, found '${word}'`,
        range,
      );
    const protocol = word.includes("/") ? word.slice(word.lastIndexOf("/") + 1) : "";
    if (!protocol.includes("$") && protocol !== protocol.toLowerCase())
      report("ExposeProtoCasing", `Defined protocol '${word}' in EXPOSE instruction should be lowercase`, range);
  }
}

/** Only the first WORKDIR of a line of stages counts: with it right, the others are. */
function lintWorkdirs(dockerfile: Dockerfile, report: Report): void {
  const inherits = inherited(dockerfile, "workdir");
  const parents = parentsOf(dockerfile);
  for (const stage of dockerfile.stages) {
    if (inherits[stage.index] === true) continue;
    const first = stage.instructions.find((instruction) => instruction.kind === "workdir");
    if (first?.kind !== "workdir") continue;
    const path = first.word.includes("$") ? expandKnown(dockerfile, stage, parents, first.word, first) : first.word;
    if (path !== undefined && !path.startsWith("/"))
      report(
        "WorkdirRelativePath",
        `Relative workdir ${quote(path)} can have unexpected results if the base image changes`,
        first.range,
      );
  }
}

/** The word with what the stage's ENVs say of its variables; undefined when that is not all. */
function expandKnown(
  dockerfile: Dockerfile,
  stage: Stage,
  parents: readonly (number | undefined)[],
  word: string,
  before: Instruction,
): string | undefined {
  const line: Stage[] = [];
  for (let at: Stage | undefined = stage; at !== undefined; at = dockerfile.stages[parents[at.index] ?? -1])
    line.unshift(at);
  const values = new Map<string, string>();
  for (const instruction of line.flatMap((each) => each.instructions)) {
    if (instruction === before) break;
    if (instruction.kind === "env") for (const { key, value } of instruction.pairs) values.set(key, value ?? "");
  }
  try {
    const expanded = expandWord(word, (name) => values.get(name), dockerfile.directives.escape);
    return expanded.unset.length === 0 ? expanded.text : undefined;
  } catch (error) {
    if (isEngineError(error, "InvalidParameter")) return undefined;
    throw error;
  }
}

function lintDescription(instruction: Instruction | FromInstruction, report: Report): void {
  const { comments, kind } = instruction;
  if (comments.length === 0) return;
  const names =
    kind === "arg" ? instruction.args.map((arg) => arg.key) : kind === "from" ? [instruction.stageName] : [];
  for (const name of names) {
    if (name === undefined || comments.some((comment) => names.some((any) => comment.split(" ")[0] === any))) continue;
    report(
      "InvalidDefinitionDescription",
      `Comment for ${kind.toUpperCase()} should follow the format: \`# ${name} <description>\``,
      instruction.range,
    );
  }
}
