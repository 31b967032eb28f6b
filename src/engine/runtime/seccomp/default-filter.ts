// The default profile in the two forms that runtimes take: a ready BPF program (crun, by annotation, which saves it the
// 18 ms of libseccomp at every start), and the spec's `linux.seccomp` for everybody else.

import type { OciSeccomp, OciSeccompArg, OciSeccompRule } from "../../../spec/oci/runtime.ts";
import { compileFilter, encodeFilter, returns } from "./bpf.ts";
import type { ArchitectureProgram, Decision, Instruction } from "./bpf.ts";
import { errno, syscallNumbers, verdictOf } from "./default-profile.ts";
import type { Architecture, ArgumentRule } from "./default-profile.ts";

/** linux/audit.h AUDIT_ARCH_*, and libseccomp's names. */
const architectureIds: Readonly<Record<Architecture, { readonly audit: number; readonly scmp: string }>> = {
  x86_64: { audit: 0xc000_003e, scmp: "SCMP_ARCH_X86_64" },
  i386: { audit: 0x4000_0003, scmp: "SCMP_ARCH_X86" },
  aarch64: { audit: 0xc000_00b7, scmp: "SCMP_ARCH_AARCH64" },
  arm: { audit: 0x4000_0028, scmp: "SCMP_ARCH_ARM" },
};

/** What a machine runs besides its own programs. @param goArchitecture amd64 or arm64 */
export function architecturesOf(goArchitecture: string): readonly Architecture[] | undefined {
  if (goArchitecture === "amd64") return ["x86_64", "i386"];
  return goArchitecture === "arm64" ? ["aarch64", "arm"] : undefined;
}

const allow: Decision = { returns: returns.allow };
const unknown: Decision = { returns: returns.errno(errno.ENOSYS) };

function decisionOf(rule: ArgumentRule): Decision {
  const refuse: Decision = { returns: returns.errno(rule.errno) };
  const test = { argument: rule.index, width: 32 } as const;
  if ("noBitOf" in rule.allow) {
    return { ...test, test: "anyBitOf", value: BigInt(rule.allow.noBitOf), yes: refuse, no: allow };
  }
  const [values, hit, miss]: readonly [readonly number[], Decision, Decision] =
    "oneOf" in rule.allow ? [rule.allow.oneOf, allow, refuse] : [rule.allow.noneOf, refuse, allow];
  return values.reduceRight<Decision>(
    (no, value) => ({ ...test, test: "equals", value: BigInt(value), yes: hit, no }),
    miss,
  );
}

function programOf(architecture: Architecture, capabilities: readonly string[]): ArchitectureProgram {
  const decisions = new Map<number, Decision>();
  for (const [name, number] of syscallNumbers(architecture)) {
    const verdict = verdictOf(name, capabilities);
    if ("allow" in verdict) decisions.set(number, allow);
    else if ("errno" in verdict) decisions.set(number, { returns: returns.errno(verdict.errno) });
    else decisions.set(number, decisionOf(verdict.rule));
  }
  // x32 has numbers of its own above 2^30: none of them is in the table, and all of them answer ENOSYS.
  return { audit: architectureIds[architecture].audit, decisions, otherwise: unknown };
}

/** The default profile as BPF. @param capabilities the container's bounding set */
export function compileDefaultProfile(
  architectures: readonly Architecture[],
  capabilities: readonly string[],
): readonly Instruction[] {
  return compileFilter(architectures.map((architecture) => programOf(architecture, capabilities)));
}

/** The same as base64 of struct sock_filter[]. */
export function renderDefaultProgram(architectures: readonly Architecture[], capabilities: readonly string[]): string {
  return encodeFilter(compileDefaultProfile(architectures, capabilities)).toString("base64");
}

const low32 = 0xffff_ffff;
/** Above the highest address family. */
const familyLimit = 64;

/** Compares the lower half of an argument under a mask. */
function masked(index: number, mask: number, value: number): OciSeccompArg {
  return { index, value: mask, valueTwo: value, op: "SCMP_CMP_MASKED_EQ" };
}

/** Aligned blocks of powers of two that cover 0 … limit-1 without the values left out: libseccomp cannot say "not". */
function blocksWithout(
  values: readonly number[],
  start: number,
  size: number,
): readonly { start: number; size: number }[] {
  if (!values.some((value) => value >= start && value < start + size)) return [{ start, size }];
  if (size === 1) return [];
  const half = size / 2;
  return [...blocksWithout(values, start, half), ...blocksWithout(values, start + half, half)];
}

function sectionRules(rule: ArgumentRule): readonly OciSeccompRule[] {
  const names = [rule.name];
  const allowed = (arg: OciSeccompArg): OciSeccompRule => ({ names, action: "SCMP_ACT_ALLOW", args: [arg] });
  if ("noBitOf" in rule.allow) {
    const mask = rule.allow.noBitOf;
    const bits = Array.from({ length: 32 }, (_, bit) => 2 ** bit).filter((bit) => (mask & bit) !== 0);
    return [
      allowed(masked(rule.index, mask, 0)),
      ...bits.map((bit) => ({
        names,
        action: "SCMP_ACT_ERRNO",
        errnoRet: rule.errno,
        args: [masked(rule.index, bit, bit)],
      })),
    ];
  }
  if ("oneOf" in rule.allow) return rule.allow.oneOf.map((value) => allowed(masked(rule.index, low32, value)));
  const refused = rule.allow.noneOf;
  return [
    ...blocksWithout(refused, 0, familyLimit).map(({ start, size }) =>
      allowed(masked(rule.index, low32 - (size - 1), start)),
    ),
    ...refused.map((value) => ({
      names,
      action: "SCMP_ACT_ERRNO",
      errnoRet: rule.errno,
      args: [masked(rule.index, low32, value)],
    })),
  ];
}

/** The default profile as `linux.seccomp`. Values that no rule names answer ENOSYS here, where the program says EPERM. */
export function renderDefaultSection(
  architectures: readonly Architecture[],
  capabilities: readonly string[],
): OciSeccomp {
  const names = [
    ...new Set(architectures.flatMap((architecture) => [...syscallNumbers(architecture).keys()])),
  ].toSorted();
  const allowed: string[] = [];
  const refused = new Map<number, string[]>();
  const conditional: OciSeccompRule[] = [];
  for (const name of names) {
    const verdict = verdictOf(name, capabilities);
    if ("allow" in verdict) allowed.push(name);
    else if ("errno" in verdict) refused.set(verdict.errno, [...(refused.get(verdict.errno) ?? []), name]);
    else conditional.push(...sectionRules(verdict.rule));
  }
  // A rule with the default's own action is an error to libseccomp.
  refused.delete(errno.ENOSYS);
  return {
    defaultAction: "SCMP_ACT_ERRNO",
    defaultErrnoRet: errno.ENOSYS,
    architectures: architectures.map((architecture) => architectureIds[architecture].scmp),
    syscalls: [
      { names: allowed, action: "SCMP_ACT_ALLOW" },
      ...conditional,
      ...[...refused].map(([code, list]) => ({ names: list, action: "SCMP_ACT_ERRNO", errnoRet: code })),
    ],
  };
}
