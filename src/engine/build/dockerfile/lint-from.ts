// Rules about FROM: names of stages, casing, platforms, arguments.

import { isEngineError } from "../../../base/errors.ts";
import { parseNamed } from "../../../base/reference.ts";
import { type Expansion, expandWord } from "./expand.ts";
import { quote } from "./go.ts";
import type { Dockerfile, FromInstruction, Lookup } from "./index.ts";
import { cutKeyword } from "./lines.ts";
import type { LintFacts, Report } from "./lint.ts";
import { suggest } from "./suggest.ts";
import { cutFlags, splitBlanks } from "./words.ts";

const reserved = ["scratch", "context"];

export function lintFrom(dockerfile: Dockerfile, facts: LintFacts, report: Report): void {
  const names = new Set<string>();
  const escape = dockerfile.directives.escape;
  const withDefaults = globalValues(dockerfile, facts, new Map());
  const asBuilt = globalValues(dockerfile, facts, facts.buildArgs);
  for (const { from } of dockerfile.stages) {
    const [, as, name] = splitBlanks(cutFlags(cutKeyword(from.original).rest).rest);
    if (as !== undefined) lintAs(from, as, report);
    if (name !== undefined && name !== name.toLowerCase())
      report("StageNameCasing", `Stage name '${name}' should be lowercase`, from.range);
    if (from.stageName !== undefined) {
      if (names.has(from.stageName))
        report(
          "DuplicateStageName",
          `Duplicate stage name ${quote(from.stageName)}, stage names should be unique`,
          from.range,
        );
      if (reserved.includes(from.stageName))
        report(
          "ReservedStageName",
          `Stage name should not use the same name as reserved stage ${quote(from.stageName)}`,
          from.range,
        );
      names.add(from.stageName);
    }
    lintPlatform(from, report);
    lintArguments(from, asBuilt, escape, report);
    lintDefaults(from, withDefaults, escape, report);
  }
}

function lintAs(from: FromInstruction, as: string, report: Report): void {
  const { keyword } = cutKeyword(from.original);
  const lower = keyword === keyword.toLowerCase();
  const upper = keyword === keyword.toUpperCase();
  if ((lower && as !== as.toLowerCase()) || (upper && as !== as.toUpperCase()))
    report("FromAsCasing", `'${as}' and '${keyword}' keywords' casing do not match`, from.range);
}

function lintPlatform(from: FromInstruction, report: Report): void {
  const { platform, stageName } = from;
  if (platform === undefined) return;
  if (platform === "$TARGETPLATFORM" || platform === "${TARGETPLATFORM}")
    report(
      "RedundantTargetPlatform",
      `Setting platform to predefined ${platform} in FROM is redundant as this is the default behavior`,
      from.range,
    );
  if (platform.includes("$")) return;
  const [system, architecture, variant] = platform.split("/");
  const parts = [system, architecture, variant === undefined ? undefined : `${architecture ?? ""}${variant}`];
  if (!parts.some((part) => part !== undefined && part !== "" && stageName?.includes(part) === true))
    report(
      "FromPlatformFlagConstDisallowed",
      `FROM --platform flag should not use constant value ${quote(platform)}`,
      from.range,
    );
}

/** Values of the arguments before the first FROM and of the platforms'; null where declared without a value. */
function globalValues(
  dockerfile: Dockerfile,
  facts: LintFacts,
  buildArgs: ReadonlyMap<string, string>,
): ReadonlyMap<string, string | null> {
  const values = new Map<string, string | null>();
  for (const [prefix, platform] of [
    ["BUILD", facts.buildPlatform],
    ["TARGET", facts.targetPlatforms[0] ?? facts.buildPlatform],
  ] as const) {
    const [system = "", architecture = "", variant = ""] = platform.split("/");
    for (const [name, value] of Object.entries({
      PLATFORM: platform,
      OS: system,
      ARCH: architecture,
      VARIANT: variant,
    }))
      values.set(prefix + name, value);
  }
  values.set("TARGETSTAGE", facts.target || "default");
  for (const { key, value } of dockerfile.globalArgs.flatMap((arg) => arg.args)) {
    const given = buildArgs.get(key);
    const expanded = value === undefined ? undefined : expanding(value, lookupIn(values), dockerfile.directives.escape);
    values.set(key, given ?? expanded?.text ?? null);
  }
  return values;
}

function lookupIn(values: ReadonlyMap<string, string | null>): Lookup {
  return (name) => values.get(name) ?? undefined;
}

function expanding(word: string, lookup: Lookup, escape: "\\" | "`"): Expansion | undefined {
  try {
    return expandWord(word, lookup, escape);
  } catch (error) {
    if (isEngineError(error, "InvalidParameter")) return undefined;
    throw error;
  }
}

function lintArguments(
  from: FromInstruction,
  values: ReadonlyMap<string, string | null>,
  escape: "\\" | "`",
  report: Report,
): void {
  for (const word of [from.baseName, from.platform ?? ""])
    for (const name of expanding(word, lookupIn(values), escape)?.unset ?? []) {
      if (values.has(name)) continue;
      const nearest = suggest(name, [...values.keys()]);
      const hint = nearest === undefined ? "" : ` (did you mean ${nearest}?)`;
      report("UndefinedArgInFrom", `FROM argument '${name}' is not declared${hint}`, from.range);
    }
}

function lintDefaults(
  from: FromInstruction,
  values: ReadonlyMap<string, string | null>,
  escape: "\\" | "`",
  report: Report,
): void {
  const base = expanding(from.baseName, lookupIn(values), escape);
  if (base === undefined || base.used.length === 0 || isImageName(base.text)) return;
  report(
    "InvalidDefaultArgInFrom",
    `Default value for ARG ${from.baseName} results in empty or invalid base image name`,
    from.range,
  );
}

function isImageName(text: string): boolean {
  if (text === "") return false;
  try {
    parseNamed(text);
    return true;
  } catch (error) {
    if (isEngineError(error)) return false;
    throw error;
  }
}
