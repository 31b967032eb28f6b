// Seccomp profiles of users in Docker's JSON format: checked, their conditions (capabilities, architectures, kernel)
// resolved, and handed to the runtime as `linux.seccomp`.
// Source: Docker's "Seccomp security profiles for Docker"; runtime-spec config-linux.md "Seccomp".

import type { OciSeccomp, OciSeccompArg, OciSeccompRule } from "../../../spec/oci/runtime.ts";
import type { HostFacts } from "../index.ts";
import { isKernelAtLeast } from "../kernel-version.ts";

/** runtime-spec config-linux.md */
const actions: ReadonlySet<string> = new Set([
  "SCMP_ACT_KILL",
  "SCMP_ACT_KILL_PROCESS",
  "SCMP_ACT_KILL_THREAD",
  "SCMP_ACT_TRAP",
  "SCMP_ACT_ERRNO",
  "SCMP_ACT_TRACE",
  "SCMP_ACT_ALLOW",
  "SCMP_ACT_LOG",
]);
const operators: ReadonlySet<string> = new Set([
  "SCMP_CMP_NE",
  "SCMP_CMP_LT",
  "SCMP_CMP_LE",
  "SCMP_CMP_EQ",
  "SCMP_CMP_GE",
  "SCMP_CMP_GT",
  "SCMP_CMP_MASKED_EQ",
]);
const maxRules = 4096;
const maxNames = 4096;

interface Condition {
  readonly caps: readonly string[];
  readonly arches: readonly string[];
  readonly minKernel: string | undefined;
}

interface Rule {
  readonly rule: OciSeccompRule;
  readonly includes: Condition;
  readonly excludes: Condition;
}

interface Profile {
  readonly defaultAction: string;
  readonly defaultErrnoRet: number | undefined;
  readonly architectures: readonly string[];
  readonly archMap: readonly { readonly architecture: string; readonly subArchitectures: readonly string[] }[];
  readonly flags: readonly string[];
  readonly rules: readonly Rule[];
}

class ProfileError extends Error {}

type Members = Readonly<Record<string, unknown>>;

function membersOf(value: unknown, what: string): Members {
  if (typeof value !== "object" || value === null || Array.isArray(value))
    throw new ProfileError(`${what} must be an object`);
  return value as Members;
}

/** A member by its exact name, own properties only; null is as good as none. */
function member(members: Members, name: string): unknown {
  return Object.hasOwn(members, name) ? (members[name] ?? undefined) : undefined;
}

function stringOf(value: unknown, what: string): string {
  if (typeof value !== "string") throw new ProfileError(`${what} must be a string`);
  return value;
}

function listOf(value: unknown, what: string, max: number): readonly unknown[] {
  if (value === undefined) return [];
  if (!Array.isArray(value)) throw new ProfileError(`${what} must be a list`);
  if (value.length > max) throw new ProfileError(`${what} has more than ${max} members`);
  return value as readonly unknown[];
}

function stringsOf(value: unknown, what: string): readonly string[] {
  return listOf(value, what, maxNames).map((each) => stringOf(each, what));
}

function numberOf(value: unknown, what: string, max: number): number {
  if (typeof value !== "number" || !Number.isInteger(value) || value < 0 || value > max) {
    throw new ProfileError(`${what} must be a whole number from 0 to ${max}`);
  }
  return value;
}

function actionOf(value: unknown): string {
  const action = stringOf(value, "an action");
  if (!actions.has(action)) throw new ProfileError(`string ${action} is not a valid action for seccomp`);
  return action;
}

function errnoOf(members: Members, name: string): number | undefined {
  const value = member(members, name);
  return value === undefined ? undefined : numberOf(value, name, 0xffff);
}

function argOf(value: unknown): OciSeccompArg {
  const members = membersOf(value, "an argument");
  const op = stringOf(member(members, "op"), "op");
  if (!operators.has(op)) throw new ProfileError(`string ${op} is not a valid operator for seccomp`);
  const valueTwo = member(members, "valueTwo");
  return {
    index: numberOf(member(members, "index") ?? 0, "index", 5),
    value: numberOf(member(members, "value") ?? 0, "value", 2 ** 64),
    ...(valueTwo === undefined ? {} : { valueTwo: numberOf(valueTwo, "valueTwo", 2 ** 64) }),
    op,
  };
}

function conditionOf(value: unknown, what: string): Condition {
  if (value === undefined) return { caps: [], arches: [], minKernel: undefined };
  const members = membersOf(value, what);
  const minKernel = member(members, "minKernel");
  if (minKernel !== undefined && !/^\d{1,6}\.\d{1,6}/.test(stringOf(minKernel, "minKernel"))) {
    throw new ProfileError(`invalid minKernel: ${JSON.stringify(minKernel)}`);
  }
  return {
    caps: stringsOf(member(members, "caps"), "caps"),
    arches: stringsOf(member(members, "arches"), "arches"),
    minKernel: minKernel === undefined ? undefined : stringOf(minKernel, "minKernel"),
  };
}

function ruleOf(value: unknown): Rule {
  const members = membersOf(value, "a rule");
  const name = member(members, "name");
  const names = stringsOf(member(members, "names"), "names");
  if (name !== undefined && name !== "" && names.length > 0) {
    throw new ProfileError(
      "both 'name' and 'names' are specified in the seccomp profile, use either 'name' or 'names'",
    );
  }
  const all = name === undefined || name === "" ? names : [stringOf(name, "name")];
  const args = listOf(member(members, "args"), "args", 64).map(argOf);
  const errnoRet = errnoOf(members, "errnoRet");
  return {
    rule: {
      names: all,
      action: actionOf(member(members, "action")),
      ...(errnoRet === undefined ? {} : { errnoRet }),
      ...(args.length === 0 ? {} : { args }),
    },
    includes: conditionOf(member(members, "includes"), "includes"),
    excludes: conditionOf(member(members, "excludes"), "excludes"),
  };
}

function parseProfile(value: unknown): Profile {
  const members = membersOf(value, "the seccomp profile");
  const architectures = stringsOf(member(members, "architectures"), "architectures");
  const archMap = listOf(member(members, "archMap"), "archMap", 64).map((entry) => {
    const map = membersOf(entry, "archMap");
    return {
      architecture: stringOf(member(map, "architecture"), "architecture"),
      subArchitectures: stringsOf(member(map, "subArchitectures"), "subArchitectures"),
    };
  });
  if (architectures.length > 0 && archMap.length > 0) {
    throw new ProfileError(
      "both 'architectures' and 'archMap' are specified in the seccomp profile, use either 'architectures' or 'archMap'",
    );
  }
  return {
    defaultAction: actionOf(member(members, "defaultAction")),
    defaultErrnoRet: errnoOf(members, "defaultErrnoRet"),
    architectures,
    archMap,
    flags: stringsOf(member(members, "flags"), "flags"),
    rules: listOf(member(members, "syscalls"), "syscalls", maxRules).map(ruleOf),
  };
}

/** Complaints about a profile; never throws. `{}` is no profile at all, as in Docker. */
export function checkUserProfile(profile: unknown): readonly string[] {
  if (isNoProfile(profile)) return [];
  try {
    parseProfile(profile);
    return [];
  } catch (error) {
    if (error instanceof ProfileError) return [`Decoding seccomp profile failed: ${error.message}`];
    throw error;
  }
}

function isNoProfile(profile: unknown): boolean {
  return (
    typeof profile === "object" && profile !== null && !Array.isArray(profile) && Object.keys(profile).length === 0
  );
}

const nativeNames: Readonly<Record<string, string>> = { amd64: "SCMP_ARCH_X86_64", arm64: "SCMP_ARCH_AARCH64" };

/**
 * The profile as `linux.seccomp`; undefined for the empty profile, which filters nothing.
 *
 * @param profile one that checkUserProfile had nothing against
 */
export function renderUserProfile(
  profile: unknown,
  facts: HostFacts,
  capabilities: readonly string[],
): OciSeccomp | undefined {
  if (isNoProfile(profile)) return undefined;
  const { defaultAction, defaultErrnoRet, architectures, archMap, flags, rules } = parseProfile(profile);
  const isNewEnough = (minKernel: string): boolean => {
    const [major = 0, minor = 0] = minKernel.split(".").map(Number);
    return isKernelAtLeast(facts.kernelVersion, major, minor);
  };
  const applies = ({ includes, excludes }: Rule): boolean =>
    !(excludes.arches.includes(facts.architecture) || excludes.caps.some((cap) => capabilities.includes(cap))) &&
    !(excludes.minKernel !== undefined && isNewEnough(excludes.minKernel)) &&
    (includes.arches.length === 0 || includes.arches.includes(facts.architecture)) &&
    includes.caps.every((cap) => capabilities.includes(cap)) &&
    (includes.minKernel === undefined || isNewEnough(includes.minKernel));
  const native = nativeNames[facts.architecture];
  const mapped = archMap.find(({ architecture }) => architecture === native);
  const all = mapped === undefined ? architectures : [mapped.architecture, ...mapped.subArchitectures];
  return {
    defaultAction,
    ...(defaultErrnoRet === undefined ? {} : { defaultErrnoRet }),
    ...(all.length === 0 ? {} : { architectures: all }),
    ...(flags.length === 0 ? {} : { flags }),
    syscalls: rules.filter(applies).map(({ rule }) => rule),
  };
}
