// Chooses a container's seccomp filter: none, the default profile, or the user's.

import type { OciSeccomp } from "../../../spec/oci/runtime.ts";
import { EngineError } from "../../../base/errors.ts";
import type { SpecInput } from "../index.ts";
import type { SecurityOptions } from "../security-options.ts";
import { architecturesOf, renderDefaultProgram, renderDefaultSection } from "./default-filter.ts";
import { checkUserProfile, renderUserProfile } from "./user-profile.ts";

/** What a filter adds to the spec: a section for the runtime to compile, or a ready program in an annotation. */
export interface SeccompPlan {
  readonly section: OciSeccomp | undefined;
  readonly annotations: Readonly<Record<string, string>>;
}

/** @throws InvalidParameter the profile is malformed; @throws NotImplemented no default profile for this machine */
export type SeccompPlanner = (
  input: SpecInput,
  capabilities: readonly string[],
  security: SecurityOptions,
) => SeccompPlan;

/** crun(1): the program in base64 replaces the section of the spec, for run and exec alike. */
const bpfAnnotation = "run.oci.seccomp_bpf_data";
const none: SeccompPlan = { section: undefined, annotations: {} };

/** A planner that keeps the programs and sections it made; there are few different sets of capabilities. */
export function createSeccompPlanner(): SeccompPlanner {
  const made = new Map<string, SeccompPlan>();
  const maxMade = 64;

  function planDefault(input: SpecInput, capabilities: readonly string[]): SeccompPlan {
    const { facts, runtimeTakesBpf } = input;
    const key = [facts.architecture, String(runtimeTakesBpf), ...capabilities].join(" ");
    const known = made.get(key);
    if (known !== undefined) return known;
    const architectures = architecturesOf(facts.architecture);
    if (architectures === undefined) {
      throw new EngineError(
        "NotImplemented",
        `there is no default seccomp profile for ${facts.architecture}; use seccomp=unconfined`,
      );
    }
    const plan: SeccompPlan = runtimeTakesBpf
      ? { section: undefined, annotations: { [bpfAnnotation]: renderDefaultProgram(architectures, capabilities) } }
      : { section: renderDefaultSection(architectures, capabilities), annotations: {} };
    if (made.size >= maxMade) made.clear();
    made.set(key, plan);
    return plan;
  }

  return (input, capabilities, security) => {
    const { seccomp, facts } = input;
    const choice =
      seccomp === undefined
        ? security.seccomp
        : seccomp === "unconfined"
          ? ({ kind: "unconfined" } as const)
          : ({ kind: "profile", profile: seccomp } as const);
    if (choice.kind === "unconfined" || !facts.seccomp) return none;
    if (choice.kind === "builtin")
      return input.hostConfig.Privileged === true ? none : planDefault(input, capabilities);
    const [error] = checkUserProfile(choice.profile);
    if (error !== undefined) throw new EngineError("InvalidParameter", error);
    return { section: renderUserProfile(choice.profile, facts, capabilities), annotations: {} };
  };
}
