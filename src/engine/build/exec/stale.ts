// Steps of a daemon that died: nobody waits for them, so they are ended before anything else of a build is touched. Everything that
// is needed for it is in their run directories. Their addresses were in that daemon's memory only.

import { existsSync, readdirSync, readFileSync } from "node:fs";
import { readdir, readFile, readlink } from "node:fs/promises";
import { join } from "node:path";
import { errnoOf, isEngineError } from "../../../base/errors.ts";
import { cgroupDirectories, discoverCgroups, killCgroup, removeCgroup } from "../../kernel/cgroups.ts";
import { readMounts } from "../../kernel/mountinfo.ts";
import { connectShim, ShimConnection } from "../../runtime/shim-connection.ts";
import { removeStepDirectories, stepDirectories } from "./step-directories.ts";

const stepId = /^[0-9a-f]{64}$/;
const answerTimeoutMs = 3_000;
/** For the end of its processes, its network and its cgroups. */
const leaveTimeoutMs = 10_000;

function idsIn(directory: string): readonly string[] {
  try {
    return readdirSync(directory).filter((name) => stepId.test(name));
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return [];
    throw error;
  }
}

/** Tells a shim to end its step. @returns whether it has left */
async function endByShim(runDir: string): Promise<boolean> {
  let connection: ShimConnection;
  try {
    connection = new ShimConnection(await connectShim(runDir));
  } catch {
    return true;
  }
  try {
    await connection.request("hello", [["protocol", "1"]], answerTimeoutMs);
    const state = await connection.request("state", [], answerTimeoutMs);
    if (state.get("pid") === undefined) await connection.request("abandon", [], answerTimeoutMs);
    else
      await connection.request(
        "kill",
        [
          ["target", "init"],
          ["signal", 9],
        ],
        answerTimeoutMs,
      );
  } catch (error) {
    // What has ended already leaves by itself; what does not answer is killed.
    if (!isEngineError(error)) throw error;
  }
  await connection.ended(leaveTimeoutMs);
  const left = connection.closed;
  connection.destroy();
  return left;
}

/** Kills shims that hold the run directory open. */
async function killShims(runDir: string): Promise<void> {
  for (const pid of (await readdir("/proc")).filter((name) => /^\d+$/.test(name))) {
    const title = await readFile(`/proc/${pid}/cmdline`, "latin1").catch(() => "");
    if (!title.startsWith("gantry-shim ")) continue;
    for (const fd of await readdir(`/proc/${pid}/fd`).catch((): string[] => [])) {
      if ((await readlink(`/proc/${pid}/fd/${fd}`).catch(() => "")) !== runDir) continue;
      try {
        process.kill(Number(pid), "SIGKILL");
      } catch (error) {
        if (errnoOf(error) !== "ESRCH") throw error;
      }
      break;
    }
  }
}

/** As its bundle says; undefined where it got no bundle, and so no processes. */
function cgroupOf(runDir: string): string | undefined {
  try {
    const spec = JSON.parse(readFileSync(join(runDir, "config.json"), "utf8")) as {
      readonly linux?: { readonly cgroupsPath?: string };
    };
    return spec.linux?.cgroupsPath;
  } catch {
    return undefined;
  }
}

async function endStep(execRoot: string, dataRoot: string, id: string): Promise<void> {
  const directories = stepDirectories(execRoot, dataRoot, id);
  if (existsSync(directories.run)) {
    const cgroup = cgroupOf(directories.run);
    if (!(await endByShim(directories.run))) await killShims(directories.run);
    if (cgroup?.endsWith(`/step-${id}`) === true) {
      const hierarchies = discoverCgroups(readMounts());
      if (cgroupDirectories(hierarchies, cgroup).some((directory) => existsSync(directory))) {
        await killCgroup(hierarchies, cgroup);
        await removeCgroup(hierarchies, cgroup);
      }
    }
  }
  await removeStepDirectories(directories);
}

/**
 * Ends what an earlier daemon's builds left: shims, cgroups, run directories, throw-away trees. To be called before the snapshotter
 * looks for directories that nobody needs.
 *
 * @throws System something cannot be ended; the others are all the same
 */
export async function endStaleSteps(execRoot: string, dataRoot: string): Promise<void> {
  const ids = new Set([...idsIn(join(execRoot, "steps")), ...idsIn(join(dataRoot, "build/steps"))]);
  const ended = await Promise.allSettled([...ids].map((id) => endStep(execRoot, dataRoot, id)));
  for (const outcome of ended) if (outcome.status === "rejected") throw outcome.reason;
}
