// HostConfig.Ulimits: checked, and lowered to the engine's own limits where it may not raise them.
// Source: getrlimit(2), proc_pid_limits(5); Engine API 1.51, Resources.Ulimits (-1 is unlimited).

import type { HostConfig } from "../../spec/docker/container.ts";
import type { OciRlimit } from "../../spec/oci/runtime.ts";
import type { HostFacts } from "./index.ts";

/** Names of rlimits in lower case as Docker writes them. Source: getrlimit(2). */
const rlimitNames: ReadonlySet<string> = new Set([
  "as",
  "core",
  "cpu",
  "data",
  "fsize",
  "locks",
  "memlock",
  "msgqueue",
  "nice",
  "nofile",
  "nproc",
  "rss",
  "rtprio",
  "rttime",
  "sigpending",
  "stack",
]);

/** Complaints about unknown names and values that no kernel takes. */
export function checkUlimits(hostConfig: HostConfig): readonly string[] {
  const errors: string[] = [];
  for (const { Name: name = "", Soft: soft = 0, Hard: hard = 0 } of hostConfig.Ulimits ?? []) {
    if (!rlimitNames.has(name.toLowerCase())) errors.push(`invalid ulimit type: ${name}`);
    if (![soft, hard].every((n) => Number.isInteger(n) && n >= -1))
      errors.push(`invalid ulimit value for ${name}: ${soft}:${hard}`);
    else if (hard !== -1 && (soft === -1 || soft > hard)) {
      errors.push(`ulimit soft limit must be less than or equal to hard limit: ${soft} > ${hard}`);
    }
  }
  return errors;
}

/** Hard limits of the engine by name in lower case; -1 is unlimited. */
export type Rlimits = ReadonlyMap<string, number>;

const processLimitNames: Readonly<Record<string, string>> = {
  "Max cpu time": "cpu",
  "Max file size": "fsize",
  "Max data size": "data",
  "Max stack size": "stack",
  "Max core file size": "core",
  "Max resident set": "rss",
  "Max processes": "nproc",
  "Max open files": "nofile",
  "Max locked memory": "memlock",
  "Max address space": "as",
  "Max file locks": "locks",
  "Max pending signals": "sigpending",
  "Max msgqueue size": "msgqueue",
  "Max nice priority": "nice",
  "Max realtime priority": "rtprio",
  "Max realtime timeout": "rttime",
};

/** Hard limits out of the text of /proc/<pid>/limits. */
export function parseProcessLimits(text: string): Rlimits {
  const limits = new Map<string, number>();
  for (const line of text.split("\n")) {
    const match = /^(Max [a-z ]+?)\s{2,}\S+\s+(\S+)/.exec(line);
    const name = match?.[1] === undefined ? undefined : processLimitNames[match[1]];
    if (name === undefined || match === null) continue;
    limits.set(name, match[2] === "unlimited" ? -1 : Number(match[2]));
  }
  return limits;
}

/**
 * RLIM_INFINITY is 2^64 - 1, which no double holds: this one stands for it, and renderSpec writes the exact number.
 */
export const rlimitInfinity = 2 ** 64;

/** Rlimits of the process; limits above the engine's own are lowered to those when it may not raise them. */
export function planRlimits(
  hostConfig: HostConfig,
  facts: HostFacts,
  own: Rlimits,
): {
  readonly rlimits: readonly OciRlimit[];
  readonly clamped: readonly { readonly name: string; readonly asked: number; readonly granted: number }[];
} {
  const rlimits = new Map<string, OciRlimit>();
  const clamped: { name: string; asked: number; granted: number }[] = [];
  for (const limit of hostConfig.Ulimits ?? []) {
    const name = (limit.Name ?? "").toLowerCase();
    const ceiling = own.get(name) ?? -1;
    const lower = (n: number): number =>
      !facts.canRaiseLimits && ceiling !== -1 && (n === -1 || n > ceiling) ? ceiling : n;
    const hard = lower(limit.Hard ?? 0);
    const soft = lower(limit.Soft ?? 0);
    if (hard !== limit.Hard) clamped.push({ name, asked: limit.Hard ?? 0, granted: hard });
    const value = (n: number): number => (n === -1 ? rlimitInfinity : n);
    rlimits.set(name, { type: `RLIMIT_${name.toUpperCase()}`, soft: value(soft), hard: value(hard) });
  }
  return { rlimits: [...rlimits.values()], clamped };
}

/** One text for each limit that is granted lower than asked. */
export function rlimitWarnings(hostConfig: HostConfig, facts: HostFacts, own: Rlimits): readonly string[] {
  return planRlimits(hostConfig, facts, own).clamped.map(
    ({ name, asked, granted }) =>
      `ulimit ${name}: the engine may not raise limits (no CAP_SYS_RESOURCE): ${granted} in place of ${asked}.`,
  );
}
