// Chooses a container's seccomp filter.

import type { OciSeccomp } from "../../../spec/oci/runtime.ts";
import type { SpecInput } from "../index.ts";
import type { SecurityOptions } from "../security-options.ts";

/** What a filter adds to the spec: a section for the runtime to compile, or a ready program in an annotation. */
export interface SeccompPlan {
  readonly section: OciSeccomp | undefined;
  readonly annotations: Readonly<Record<string, string>>;
}

export type SeccompPlanner = (
  input: SpecInput,
  capabilities: readonly string[],
  security: SecurityOptions,
) => SeccompPlan;

/** A planner. */
export function createSeccompPlanner(): SeccompPlanner {
  return () => ({ section: undefined, annotations: {} });
}
