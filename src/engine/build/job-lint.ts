// Warnings of a build: what lint and lowering found, less what the file says to skip, told as events.

import { renderPlatform } from "../../spec/oci/platform.ts";
import {
  type Directives,
  type Dockerfile,
  DockerfileError,
  isSkipped,
  lintDockerfile,
  type LintRuleName,
  lintViolation,
  type LintWarning,
  parseCheckOptions,
} from "./dockerfile/index.ts";
import type { LowerOptions } from "./graph/index.ts";
import type { BuildProgress } from "./progress.ts";

/** `# check=`, unless a build argument says otherwise. */
function checkOf(dockerfile: Dockerfile, options: LowerOptions): Directives["check"] {
  const given = options.buildArgs.get("BUILDKIT_DOCKERFILE_CHECK");
  return given === undefined ? dockerfile.directives.check : parseCheckOptions(given, []);
}

/** All warnings, in the order of their lines; `ofGraph` are those that need the images. */
export function warningsOf(
  dockerfile: Dockerfile,
  options: LowerOptions,
  ofGraph: readonly LintWarning[],
): readonly LintWarning[] {
  const targets = options.platforms.length === 0 ? [options.buildPlatform] : options.platforms;
  const check = checkOf(dockerfile, options);
  const found = lintDockerfile(dockerfile, {
    buildArgs: options.buildArgs,
    contexts: new Set(options.contexts.keys()),
    target: options.target,
    ignorePatterns: options.ignorePatterns,
    buildPlatform: renderPlatform(options.buildPlatform),
    targetPlatforms: targets.map(renderPlatform),
    check,
  });
  const others = [...dockerfile.warnings, ...ofGraph].filter(({ rule }) => !isSkipped(rule as LintRuleName, check));
  const unique = new Map(
    [...others, ...found].map((one) => [`${one.rule} ${one.range.start.line} ${one.detail}`, one]),
  );
  return [...unique.values()].sort((a, b) => a.range.start.line - b.range.start.line);
}

/** @throws DockerfileError `# check=error=true` and there are warnings */
export function refuseWarnings(dockerfile: Dockerfile, options: LowerOptions, warnings: readonly LintWarning[]): void {
  const message = lintViolation(warnings, checkOf(dockerfile, options));
  if (message === undefined) return;
  throw new DockerfileError(
    message,
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
