// How a step ends: its shim, its cgroup, its directories. Everything is tried, whatever became of the rest.

import { existsSync } from "node:fs";
import { isEngineError, messageOf } from "../../../base/errors.ts";
import type { ContainerId } from "../../../base/ids.ts";
import { cgroupDirectories, killCgroup, removeCgroup } from "../../kernel/cgroups.ts";
import type { Shim } from "../../runtime/index.ts";
import type { StepRoom } from "./step.ts";
import { removeStepDirectories, type StepDirectories } from "./step-directories.ts";

/** Ends a shim whatever it has reached, and resolves when nothing of it is left. */
export async function endShim(shim: Shim): Promise<void> {
  try {
    const { init } = await shim.state();
    if (init === undefined) await shim.abandon();
    else await shim.kill("init", 9);
  } catch (error) {
    // It has left meanwhile, leaves by itself because the runtime failed, or has just run it.
    if (!isEngineError(error) || !["NotFound", "Conflict", "Unavailable"].includes(error.kind)) throw error;
    if (isEngineError(error, "Conflict")) await shim.kill("init", 9).catch(() => {});
  }
  await shim.gone;
}

/**
 * What the shim deletes when it leaves, made sure of, and what it knows nothing of.
 *
 * @returns false where processes may be left
 */
export async function clearStep(
  room: StepRoom,
  id: ContainerId,
  cgroup: string,
  directories: StepDirectories,
): Promise<boolean> {
  const told = async (work: () => Promise<void>): Promise<boolean> => {
    try {
      await work();
      return true;
    } catch (error) {
      room.deps.logger.error("what is left of a build's step could not be deleted", {
        step: id,
        error: messageOf(error),
      });
      return false;
    }
  };
  const ended = await told(async () => {
    if (!cgroupDirectories(room.hierarchies, cgroup).some((directory) => existsSync(directory))) return;
    await killCgroup(room.hierarchies, cgroup);
    await removeCgroup(room.hierarchies, cgroup);
  });
  // Secrets are in there: they go whatever else stays.
  await told(() => removeStepDirectories(directories));
  room.running.delete(id);
  return ended;
}
