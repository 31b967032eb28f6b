// ARGs in front of the first FROM and the predefined ones: what FROM lines are expanded with and what ARG in a stage inherits.

import type { Platform } from "../../../spec/oci/image.ts";
import { type Dockerfile, DockerfileError, expandWord, type Lookup, type Range } from "../dockerfile/index.ts";
import type { LowerOptions } from "./index.ts";
import { platformArgs } from "./platforms.ts";

/** Build arguments that need no ARG, and that neither history nor cache keys know. */
export const proxyNames: readonly string[] = ["http_proxy", "https_proxy", "ftp_proxy", "no_proxy", "all_proxy"];

/** Arguments that mean something without an ARG. */
const predefined = /^(?:BUILDKIT_.*|SOURCE_DATE_EPOCH)$/;

export function isPredefined(name: string): boolean {
  return proxyNames.includes(name.toLowerCase()) || predefined.test(name);
}

/** Runs `work`; what it throws is said to be at `range`, unless it says itself where it is. */
export function locate<T>(range: Range, work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (error instanceof DockerfileError) throw error;
    throw new DockerfileError(error instanceof Error ? error.message : String(error), [range], { cause: error });
  }
}

/** Names and values, in the order of their definition. @throws DockerfileError a bad substitution */
export function globalArgs(dockerfile: Dockerfile, options: LowerOptions, platform: Platform): Map<string, string> {
  const args = new Map<string, string>();
  const target = options.target === "" ? (dockerfile.stages.at(-1)?.from.stageName ?? "") : options.target;
  for (const [name, value] of platformArgs(options.buildPlatform, platform, target))
    args.set(name, options.buildArgs.get(name) ?? value);
  const lookup: Lookup = (name) => args.get(name);
  for (const instruction of dockerfile.globalArgs) {
    for (const { key, value } of instruction.args) {
      const given = options.buildArgs.get(key);
      if (given !== undefined) args.set(key, given);
      else if (value !== undefined)
        args.set(
          key,
          locate(instruction.range, () => expandWord(value, lookup, dockerfile.directives.escape).text),
        );
    }
  }
  return args;
}
