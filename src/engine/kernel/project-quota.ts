// Stub until project quotas are built.
import { EngineError } from "../../base/errors.ts";

/** Limits of a directory tree's size by project ids (ext4 with the project feature, XFS; mounted with prjquota). */
export interface ProjectQuotas {
  /** Why the file system of `directory` has none ("the data root is on ext4 without the mount option prjquota"); undefined where it has. */
  unsupported(directory: string): Promise<string | undefined>;
  /**
   * Gives an empty directory a project id of its own and a hard limit; files made in it inherit the id.
   *
   * @param sizeBytes above 0
   * @throws NotImplemented the file system cannot; System
   */
  limit(directory: string, sizeBytes: number): Promise<void>;
  /** Forgets the limit of a directory that is being deleted. Never throws. */
  release(directory: string): Promise<void>;
}

/** @param helper path of gantry-copy, which makes the system calls */
export function createProjectQuotas(_helper: string): ProjectQuotas {
  return {
    unsupported: () => Promise.resolve("project quotas are not built yet"),
    limit: () => Promise.reject(new EngineError("NotImplemented", "project quotas are not built yet")),
    release: () => Promise.resolve(),
  };
}
