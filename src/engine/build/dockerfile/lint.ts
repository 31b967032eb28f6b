import { EngineError } from "../../../base/errors.ts";
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
export const lintRules: readonly {
  readonly name: string;
  readonly description: string;
  readonly url: string;
  readonly experimental: boolean;
}[] = [];
export function lintDockerfile(_dockerfile: Dockerfile, _facts: LintFacts): readonly LintWarning[] {
  throw new EngineError("NotImplemented", "builds are not supported yet");
}
