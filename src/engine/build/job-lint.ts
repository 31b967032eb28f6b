// Warnings of a build: what lint and lowering found, less what the file says to skip, told as events.

import { renderPlatform } from "../../spec/oci/platform.ts";
import { type Dockerfile, DockerfileError, lintDockerfile, type LintWarning } from "./dockerfile/index.ts";
import type { LowerOptions } from "./graph/index.ts";
import type { BuildProgress } from "./progress.ts";

/** All warnings, in the order of their lines; `undefinedVariables` are lowering's, which knows the images' variables. */
export function warningsOf(
  dockerfile: Dockerfile,
  options: LowerOptions,
  undefinedVariables: readonly LintWarning[] | undefined,
): readonly LintWarning[] {
  const targets = options.platforms.length === 0 ? [options.buildPlatform] : options.platforms;
  const found = lintDockerfile(dockerfile, {
    buildArgs: options.buildArgs,
    contexts: new Set(options.contexts.keys()),
    target: options.target,
    ignorePatterns: options.ignorePatterns,
    buildPlatform: renderPlatform(options.buildPlatform),
    targetPlatforms: targets.map(renderPlatform),
  });
  const isOther = ({ rule }: LintWarning): boolean => undefinedVariables === undefined || rule !== "UndefinedVar";
  const all = [...dockerfile.warnings, ...found.filter(isOther), ...(undefinedVariables ?? [])];
  const { skip } = dockerfile.directives.check;
  const skipped = new Set(skip.map((rule) => rule.toLowerCase()));
  const kept = all.filter(({ rule }) => !skipped.has("all") && !skipped.has(rule.toLowerCase()));
  const unique = new Map(kept.map((one) => [`${one.rule} ${one.range.start.line} ${one.detail}`, one]));
  return [...unique.values()].sort((a, b) => a.range.start.line - b.range.start.line);
}

/** @throws DockerfileError `# check=error=true` and there are warnings */
export function refuseWarnings(dockerfile: Dockerfile, warnings: readonly LintWarning[]): void {
  if (!dockerfile.directives.check.error || warnings.length === 0) return;
  const rules = [...new Set(warnings.map(({ rule }) => rule))].sort();
  throw new DockerfileError(
    `lint violation found for rules: ${rules.join(", ")}`,
    warnings.map(({ range }) => range),
  );
}

export function tellWarnings(
  dockerfile: Dockerfile,
  warnings: readonly LintWarning[],
  vertex: string,
  progress: BuildProgress,
): void {
  const { filename, source } = dockerfile;
  for (const { rule, detail, description, url, range } of warnings) {
    const short = `${rule}: ${detail} (line ${range.start.line})`;
    progress.emit({
      kind: "warning",
      vertex,
      level: 1,
      short,
      detail: [description],
      url,
      filename,
      source,
      ranges: [range],
    });
  }
}
