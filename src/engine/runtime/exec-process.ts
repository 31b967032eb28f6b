// The process of an exec: as confined as the container's own, unless it is privileged.
// Source: Engine API 1.51, ExecCreate; runtime-spec config.md "process".

import { EngineError } from "../../base/errors.ts";
import type { OciProcess, OciSpec } from "../../spec/oci/runtime.ts";
import type { RuntimeSpecs } from "./index.ts";
import { checkArguments, checkEnvironment, mergeEnvironment } from "./environment.ts";
import { processCapabilities } from "./spec.ts";
import { parseWorkingDirectory } from "./working-directory.ts";

function without(environment: readonly string[], name: string): readonly string[] {
  return environment.filter((entry) => !entry.startsWith(`${name}=`));
}

/**
 * @param available capabilities that the engine can hand on; what a privileged exec gets
 * @throws InvalidParameter the working directory leads through a descriptor; a variable or argument is malformed
 */
export function buildExecProcess(
  spec: Pick<OciSpec, "process">,
  exec: Parameters<RuntimeSpecs["buildExecProcess"]>[1],
  available: readonly string[],
): OciProcess {
  const [error] = [...checkEnvironment(exec.env), ...checkArguments("Cmd", exec.args)];
  if (error !== undefined) throw new EngineError("InvalidParameter", error);
  const { process } = spec;
  // HOME belongs to the user of the process, not to the container's first one.
  const sameUser = process.user.uid === exec.user.uid;
  const inherited = sameUser ? process.env : without(process.env, "HOME");
  const merged = mergeEnvironment(exec.tty ? ["TERM=xterm", ...inherited] : inherited, exec.env);
  const env = merged.some((entry) => entry.startsWith("HOME=")) ? merged : [...merged, `HOME=${exec.user.home || "/"}`];
  return {
    terminal: exec.tty,
    ...(exec.tty && exec.consoleSize !== undefined
      ? { consoleSize: { height: exec.consoleSize[0], width: exec.consoleSize[1] } }
      : {}),
    user: { uid: exec.user.uid, gid: exec.user.gid, additionalGids: exec.user.additionalGids },
    args: exec.args,
    env,
    cwd: parseWorkingDirectory(exec.cwd || process.cwd),
    capabilities: processCapabilities(exec.privileged ? available : (process.capabilities?.bounding ?? [])),
    ...(process.rlimits === undefined ? {} : { rlimits: process.rlimits }),
    noNewPrivileges: process.noNewPrivileges === true,
    ...(process.apparmorProfile === undefined || exec.privileged ? {} : { apparmorProfile: process.apparmorProfile }),
    oomScoreAdj: process.oomScoreAdj ?? 0,
  };
}
