// Limits of directory trees by project quotas. The state is the file system's alone: a directory's project id is on the directory, its
// limit in the file system's quota file; gantry-copy makes the system calls (shim/copy-quota.c).

import { realpathSync } from "node:fs";
import { EngineError, messageOf } from "../../base/errors.ts";
import { KeyedMutex } from "../../base/mutex.ts";
import { type Mount, readMounts } from "./mountinfo.ts";
import { tryRun } from "./run.ts";

/** Limits of a directory tree's size by project ids (ext4 with the project feature, XFS; mounted with prjquota). */
export interface ProjectQuotas {
  /**
   * Why a directory in this one cannot be limited, and what to do ("/var/lib/gantry is on xfs (/dev/sda1 at /), which is mounted without
   * the option prjquota: …"); undefined where it can.
   *
   * @throws System the directory cannot be looked at
   */
  unsupported(directory: string): Promise<string | undefined>;
  /**
   * Gives an empty directory a project id of its own and a hard limit; files made in it inherit the id. Asked again, it changes the
   * limit. Writes beyond it fail with ENOSPC (XFS) or EDQUOT (ext4); statfs shows the limit. Files can only be moved into it from
   * directories of the same id: see `share`.
   *
   * @param sizeBytes above 0; rounded up to 512
   * @throws NotImplemented the file system cannot; System
   */
  limit(directory: string, sizeBytes: number): Promise<void>;
  /**
   * Makes an empty directory count to the limit of `owner`, so that what is made in it can be moved there; nothing where `owner` has
   * none.
   *
   * @throws System
   */
  share(directory: string, owner: string): Promise<void>;
  /** Forgets the limit of a directory that is being deleted, for all that share it. Never throws. */
  release(directory: string): Promise<void>;
}

/** @param helper path of gantry-copy */
export function createProjectQuotas(helper: string): ProjectQuotas {
  // Two that look for a free id must not find the same.
  const choosing = new KeyedMutex();

  async function ask(...words: readonly string[]): Promise<string> {
    const { exitCode, signal, stdout, stderr } = await tryRun([helper, "quota"], { input: `${words.join("\0")}\0` });
    if (exitCode === 0) return stdout.trim();
    const said = stderr.trim() === "" ? `gantry-copy ended with ${signal ?? `status ${exitCode}`}` : stderr.trim();
    throw new EngineError("System", said);
  }

  async function unsupported(directory: string): Promise<string | undefined> {
    return explainState(await ask("state", directory), directory, mountOf(realpathSync(directory), readMounts()));
  }

  return {
    unsupported,
    async limit(directory, sizeBytes) {
      using _ = await choosing.lock("id");
      try {
        await ask("limit", directory, sizeBytes.toFixed(0));
      } catch (cause) {
        const reason = await unsupported(directory).catch(() => undefined);
        if (reason === undefined) throw cause;
        throw new EngineError("NotImplemented", `cannot limit the size of ${directory}: ${reason}`, { cause });
      }
    },
    async share(directory, owner) {
      await ask("share", directory, owner);
    },
    async release(directory) {
      // What stays is a number in the quota file that no directory has, and that is never given out again.
      await ask("release", directory).catch((error: unknown) => void messageOf(error));
    },
  };
}

/** The mount that a path without links is on: of several at one place, the one on top. */
export function mountOf(path: string, mounts: readonly Mount[]): Mount | undefined {
  const holds = ({ mountPoint }: Mount): boolean =>
    mountPoint === "/" || path === mountPoint || path.startsWith(`${mountPoint}/`);
  return mounts
    .filter(holds)
    .reduce<Mount | undefined>(
      (best, mount) => (best !== undefined && best.mountPoint.length > mount.mountPoint.length ? best : mount),
      undefined,
    );
}

/**
 * What gantry-copy found, for people.
 *
 * @param state see shim/copy-quota.c
 * @returns undefined where trees can be limited
 */
export function explainState(state: string, directory: string, mount: Mount | undefined): string | undefined {
  if (state === "ok") return undefined;
  const { fsType = "unknown", source = "?", mountPoint = "?" } = mount ?? {};
  const where = `${directory} is on ${fsType} (${source} at ${mountPoint})`;
  const project = /^project (\d+)$/.exec(state)?.[1];
  if (project !== undefined)
    return `${directory} belongs to project ${project}, which counts all that is below it: choose a directory outside of it`;
  if (fsType === "xfs")
    return `${where}, which is mounted without the option prjquota, or its kernel has no quotas: mount it anew with it (for / the kernel needs rootflags=prjquota)`;
  if (fsType === "ext4")
    return `${where}, which limits no projects: unmount it, run tune2fs -O project,quota -Q prjquota on it and mount it with the option prjquota, on a kernel with quotas`;
  return `${where}, which has no project quotas: xfs and ext4 have them, mounted with the option prjquota`;
}
