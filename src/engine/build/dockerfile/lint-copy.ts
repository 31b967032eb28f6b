// CopyIgnoredFile: a source of COPY or ADD that .dockerignore keeps away from the build.

import { isEngineError } from "../../../base/errors.ts";
import { quote } from "./go.ts";
import { createIgnoreMatcher } from "./ignore.ts";
import type { Dockerfile } from "./index.ts";
import type { Report } from "./lint.ts";

/** Sources with wildcards, variables or addresses are left alone. */
const uncertain = /[*?[$\\]|^\w+:\/\/|^git@/;

export function lintCopyIgnored(dockerfile: Dockerfile, patterns: readonly string[], report: Report): void {
  if (patterns.length === 0) return;
  const ignores = matcherOf(patterns);
  for (const instruction of dockerfile.stages.flatMap((stage) => stage.instructions)) {
    if ((instruction.kind !== "copy" && instruction.kind !== "add") || instruction.from !== undefined) continue;
    for (const source of instruction.sources)
      if (source.kind === "path" && !uncertain.test(source.path) && ignores(source.path.replace(/\/+$/, "")))
        report(
          "CopyIgnoredFile",
          `Attempting to ${instruction.kind === "copy" ? "Copy" : "Add"} file ${quote(source.path)} that is excluded by .dockerignore`,
          instruction.range,
        );
  }
}

function matcherOf(patterns: readonly string[]): (path: string) => boolean {
  try {
    const matcher = createIgnoreMatcher(patterns);
    return (path) => path !== "" && path !== "." && matcher.ignores(path);
  } catch (error) {
    if (isEngineError(error, "InvalidParameter")) return () => false;
    throw error;
  }
}
