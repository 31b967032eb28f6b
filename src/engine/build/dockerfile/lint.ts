import type { Dockerfile, LintWarning } from "./index.ts";
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
}
export { lintRules } from "./lint-rules.ts";
export function lintDockerfile(_dockerfile: Dockerfile, _facts: LintFacts): readonly LintWarning[] {
  return [];
}
