// Who runs: the pid file, and beside the database the name of the process that holds the data root. The lock itself is
// the database's (SQLite, exclusive): the kernel lets go of it with the process, whatever way that ends.

import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { EngineError, errnoOf } from "../../base/errors.ts";

function readPid(path: string): number | undefined {
  try {
    const pid = Number(readFileSync(path, "utf8").trim());
    return Number.isSafeInteger(pid) && pid > 1 ? pid : undefined;
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return undefined;
    throw error;
  }
}

/** True while the pid is a gantryd's: a pid that the kernel has given to another program since does not count. */
function isGantryd(pid: number): boolean {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8").includes("gantryd");
  } catch {
    return false;
  }
}

/**
 * Writes this process's pid, after a look at who is in the file.
 *
 * @returns removes the file, if it is still ours
 * @throws Conflict another gantryd runs with this pid file
 */
export function writePidFile(path: string): () => void {
  const other = readPid(path);
  if (other !== undefined && other !== process.pid && isGantryd(other))
    throw new EngineError(
      "Conflict",
      `pid file found, ensure gantryd is not running or delete ${path}: process with PID ${other} is still running`,
    );
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, `${process.pid}\n`, { mode: 0o644 });
  return () => {
    if (readPid(path) === process.pid) rmSync(path, { force: true });
  };
}

const holderFile = "gantryd.pid";

/** Says in the data root who holds it; read by whoOccupies. */
export function writeHolder(dataRoot: string): void {
  writeFileSync(join(dataRoot, holderFile), `${process.pid}\n`, { mode: 0o600 });
}

/**
 * What to tell somebody whose data root cannot be opened.
 *
 * @param cause the store's refusal
 * @returns undefined when no gantryd holds it, so that the cause is something else
 */
export function occupiedError(dataRoot: string, cause: unknown): EngineError | undefined {
  const pid = readPid(join(dataRoot, holderFile));
  if (pid === undefined || pid === process.pid || !isGantryd(pid)) return undefined;
  return new EngineError(
    "Conflict",
    `the data root ${dataRoot} is in use by gantryd with PID ${pid}; stop it, or choose another --data-root`,
    { cause },
  );
}
