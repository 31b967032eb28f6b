// What the drivers do to devices of the host: `ip -batch`, marks of ours, what of the kernel is there.
// A device that the engine made carries the alias "gantry <first 12 digits of the network's id>": by it, and by nothing else, a
// device of a name that the user chose is known to be ours.

import { EngineError } from "../../../base/errors.ts";
import { tryRun } from "../../kernel/run.ts";
import type { Link } from "../links.ts";

export function markOf(networkId: string): string {
  return `gantry ${networkId.slice(0, 12)}`;
}

/** The first 12 digits of the id of the network that it was made for; undefined for a device of others. */
export function ownerOf(link: Pick<Link, "alias">): string | undefined {
  return /^gantry ([0-9a-f]{12})$/.exec(link.alias)?.[1];
}

export interface BatchFailure {
  /** Index of the command in the batch. */
  readonly index: number;
  /** What `ip` said: "RTNETLINK answers: File exists". */
  readonly message: string;
}

/** Which commands of a batch failed, out of what `ip -batch -` wrote to stderr. Pure. */
export function parseBatchFailures(stderr: string): readonly BatchFailure[] {
  const failures: BatchFailure[] = [];
  let said: string[] = [];
  for (const line of stderr.split("\n")) {
    const at = /^Command failed -:(\d+)$/.exec(line.trim());
    if (at === null) {
      if (line.trim() !== "") said.push(line.trim());
      continue;
    }
    failures.push({ index: Number(at[1]) - 1, message: said.join("; ") });
    said = [];
  }
  return failures;
}

/**
 * Runs commands in one `ip`: up to the first that fails, or all of them with `force`.
 *
 * @throws System `ip` could not be run, or failed without telling where
 */
export async function runBatch(
  commands: readonly string[],
  { force = false }: { readonly force?: boolean } = {},
): Promise<readonly BatchFailure[]> {
  if (commands.length === 0) return [];
  const input = commands.map((command) => `${command}\n`).join("");
  const result = await tryRun(["ip", ...(force ? ["-force"] : []), "-batch", "-"], { input });
  const failures = parseBatchFailures(result.stderr);
  if (result.exitCode !== 0 && failures.length === 0)
    throw new EngineError("System", `ip -batch: exit status ${result.exitCode}: ${result.stderr.trim()}`);
  return failures;
}

/** Kinds of devices that kernels may lack. */
const features = {
  bridge: { option: "CONFIG_BRIDGE", module: "bridge" },
  macvlan: { option: "CONFIG_MACVLAN", module: "macvlan" },
  ipvlan: { option: "CONFIG_IPVLAN", module: "ipvlan" },
  vlan: { option: "CONFIG_VLAN_8021Q", module: "8021q" },
  dummy: { option: "CONFIG_DUMMY", module: "dummy" },
} as const;

export type DeviceKind = keyof typeof features;

/** @param what "ipvlan networks", "macvlan networks without parent" */
export function lacking(what: string, kind: DeviceKind): EngineError {
  const { option, module } = features[kind];
  return new EngineError(
    "NotImplemented",
    `${what} need a kernel with ${option} (module ${module}); the running kernel has none`,
  );
}

/** Whether the kernel's answer means that it does not know this kind of device. Pure. */
export function isLacking(message: string): boolean {
  return /Unknown device type|Operation not supported/.test(message);
}

/** Whether the kernel has this kind of device, with its module loaded: it is asked for one without a parent, which it refuses. */
export async function hasKind(kind: "macvlan" | "ipvlan"): Promise<boolean> {
  const { stderr } = await tryRun(["ip", "link", "add", "type", kind]);
  return !isLacking(stderr);
}
