// Trees over gantry-copy and gantry-unpack (shim/copy.c, shim/unpack.c): whole trees copied, exchanged, measured and removed by
// programs that hold files by descriptors, follow no link and die with the daemon.

import { lstatSync } from "node:fs";
import { opendir } from "node:fs/promises";
import { join } from "node:path";
import { EngineError, type ErrorKind } from "../../base/errors.ts";
import { run, tryRun } from "../kernel/run.ts";
import { removeSmallTree } from "../kernel/small-tree.ts";
import type { Trees } from "./index.ts";

/** A tree may take hours; who does not want to wait aborts. */
const noTimeLimitMs = 2 ** 31 - 1;
const removedAtOnce = 64;

/** Exit statuses of gantry-copy: see shim/copy.c. */
const kinds: ReadonlyMap<number | undefined, ErrorKind> = new Map([
  [1, "InvalidParameter"],
  [2, "InvalidParameter"],
  [5, "NotFound"],
  [7, "Unavailable"],
]);

interface Programs {
  readonly copyPath: string;
  readonly unpackPath: string;
}

/** @param deps paths of the engine's own programs */
export function createTrees(deps: Programs): Trees {
  return {
    async clone(source, destination, signal, below = "") {
      const said = await copy(deps, "clone", [source, destination, below], signal);
      const [bytes, shared] = said.trim().split(" ");
      return { bytes: Number(bytes), shared: shared === "1" };
    },
    async fill(lower, path, destination, signal, below = "") {
      const said = await copy(deps, "fill", [String(lower.length), ...lower, path, destination, below], signal);
      return said.trim() === "filled";
    },
    async exchange(directory, fresh, aside) {
      await copy(deps, "exchange", [directory, fresh, aside]);
      // What processes put in the way meanwhile.
      if (lstatSync(`${aside}.late`, { throwIfNoEntry: false }) !== undefined) await removeByRm([`${aside}.late`]);
    },
    size: async (directory, signal) => Number(await copy(deps, "size", [directory], signal)),
    isEmpty: async (directory) => {
      await using entries = await opendir(directory);
      return (await entries.read()) === null;
    },
    remove: (...directories) => remove(deps, directories),
    removeIn: (directory, ...names) => removeByRm(names.map((name) => join(directory, name))),
    // Only that new trees are made faster hangs on it.
    spread: async (directory) => void (await tryRun([deps.unpackPath, "spread", directory]).catch(() => undefined)),
  };
}

async function copy(
  { copyPath }: Programs,
  mode: "clone" | "fill" | "exchange" | "size",
  words: readonly string[],
  signal?: AbortSignal,
): Promise<string> {
  if (words.some((word) => word.includes("\0")))
    throw new EngineError("InvalidParameter", "a path contains a NUL byte");
  const input = words.map((word) => `${word}\0`).join("");
  const options = { input, timeoutMs: noTimeLimitMs, ...(signal === undefined ? {} : { signal }) };
  const { exitCode, signal: endedBy, stdout, stderr } = await tryRun([copyPath, mode], options);
  if (exitCode === 0) return stdout;
  const said = stderr.trim().slice(0, 8192) || `gantry-copy ${mode} ended with ${endedBy ?? `status ${exitCode}`}`;
  // In dockerd's words, which clients look for.
  const text = said.replace(/(No space left on device|Disk quota exceeded)$/, (errno) => errno.toLowerCase());
  throw new EngineError(kinds.get(exitCode) ?? "System", text);
}

/** Those that are not there are none of its business; trees may be deeper than a path can name. */
async function remove({ unpackPath }: Programs, directories: readonly string[]): Promise<void> {
  const large = directories.filter((path) => !removeSmallTree(path));
  for (let at = 0; at < large.length; at += removedAtOnce) {
    const some = large.slice(at, at + removedAtOnce);
    const options = { timeoutMs: noTimeLimitMs };
    const { exitCode } = await tryRun([unpackPath, "remove", ...some], options);
    // The slow way is good for every tree, and says what is the matter.
    if (exitCode !== 0) await removeByRm(some);
  }
}

/** It holds every directory by a descriptor. */
async function removeByRm(paths: readonly string[]): Promise<void> {
  if (paths.length > 0) await run(["rm", "-rf", "--one-file-system", "--", ...paths], { timeoutMs: noTimeLimitMs });
}
