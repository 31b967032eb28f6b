// mount(2) and umount2(2) for local volumes, in the daemon's own mount namespace: by gantry-copy, since Node has no such call.

import { constants } from "node:os";
import { EngineError } from "../../base/errors.ts";
import { readMounts } from "../kernel/mountinfo.ts";
import { tryRun } from "../kernel/run.ts";
import { describeStep, type MountStep } from "./local-options.ts";

export interface Mounter {
  /**
   * Mounts on a directory that is no link. What was mounted before a step failed is gone again.
   *
   * @throws System "mount x:/target, flags: 0x1000: no such file or directory"
   */
  mount(target: string, steps: readonly MountStep[]): Promise<void>;
  /** Takes the top-most mount away, lazily: who uses it keeps it. @throws System */
  unmount(target: string): Promise<void>;
  /** How many mounts are on the directory itself. */
  countAt(target: string): number;
}

/** A server that does not answer is waited for no longer. */
const mountTimeoutMs = 120_000;

/** Go's words for errno where they are not libuv's or glibc's. */
const reasons: Readonly<Record<string, string>> = {
  EACCES: "permission denied",
  EBUSY: "device or resource busy",
  ECONNREFUSED: "connection refused",
  EHOSTUNREACH: "no route to host",
  EINVAL: "invalid argument",
  EIO: "input/output error",
  ELOOP: "too many levels of symbolic links",
  ENETUNREACH: "network is unreachable",
  ENODEV: "no such device",
  ENOENT: "no such file or directory",
  ENOMEM: "cannot allocate memory",
  ENOSPC: "no space left on device",
  ENOTDIR: "not a directory",
  ENXIO: "no such device or address",
  EPERM: "operation not permitted",
  EROFS: "read-only file system",
  ETIMEDOUT: "connection timed out",
};

/** ENOTBLK: a file in place of a block device. Node does not name it. */
const ENOTBLK = 15;

function reasonOf(errno: number): string {
  if (errno === ENOTBLK) return "block device required";
  const name = Object.entries(constants.errno).find(([, value]) => value === errno)?.[0] ?? "";
  return reasons[name] ?? (name === "" ? `errno ${errno}` : name);
}

function wordsOf(words: readonly (string | number)[]): string {
  return words.map((word) => `${word}\0`).join("");
}

/** @param helper path of gantry-copy */
export function createMounter(helper: string): Mounter {
  const call = async (
    mode: string,
    words: readonly (string | number)[],
    describe: (step: number) => string,
  ): Promise<void> => {
    const result = await tryRun([helper, mode], { input: wordsOf(words), timeoutMs: mountTimeoutMs, cwd: "/" });
    if (result.exitCode === 0) return;
    const said = /^(\d+) (\d+)\s*$/.exec(result.stderr);
    const reason = said === null ? result.stderr.trim() || `ended by ${result.signal}` : reasonOf(Number(said[2]));
    throw new EngineError("System", `${describe(Number(said?.[1] ?? 0))}: ${reason}`);
  };
  return {
    mount: (target, steps) =>
      call(
        "mount",
        [target, ...steps.flatMap(({ source, type, flags, data }) => [source, type, flags, data])],
        (step) => {
          const failed = steps[step];
          return failed === undefined ? `mount ${target}` : describeStep(failed, target);
        },
      ),
    unmount: (target) => call("unmount", [target], () => `unmount ${target}`),
    countAt: (target) => readMounts().filter(({ mountPoint }) => mountPoint === target).length,
  };
}
