// The program that runs as PID 1 for `--init`: the one configured, or what the host has.

import { basename } from "node:path";
import { EngineError } from "../../base/errors.ts";
import { tryRun } from "../kernel/run.ts";
import { findProgram } from "./runtime-versions.ts";

export interface InitProgram {
  readonly path: string;
  readonly name: string;
  /** The version or commit that it prints; "N/A" when it does not. */
  readonly version: string;
}

/**
 * A static one first: it is bound into containers that have no C library.
 *
 * @param configured "" looks for docker-init, tini-static and tini
 * @throws InvalidParameter the configured one is not there
 */
export async function findInitProgram(configured: string): Promise<InitProgram | undefined> {
  const names = configured === "" ? ["docker-init", "tini-static", "tini"] : [configured];
  const path = names.map((name) => findProgram(name)).find((found) => found !== undefined);
  if (path === undefined) {
    if (configured === "") return undefined;
    throw new EngineError("InvalidParameter", `init-path: no such program: ${configured}`);
  }
  const said = await tryRun([path, "--version"], { timeoutMs: 5000 }).catch(() => undefined);
  const version = /version (\S+)/.exec(said?.stdout ?? "")?.[1];
  return { path, name: basename(path), version: version ?? "N/A" };
}
