// HostConfig.VolumesFrom: "container[:ro|rw]", the mounts of another container. Pure; texts of dockerd 28.5.

import { isRelabelled, MountError, parseBindMode } from "./mount-fields.ts";
import type { PlannedMount } from "./planned-mount.ts";

/** @throws MountError a mode that copies or propagates, or that is none */
export function parseVolumesFrom(text: string): { readonly container: string; readonly readOnly: boolean } {
  if (text === "") throw new MountError("volumes-from specification cannot be an empty string");
  const colon = text.indexOf(":");
  if (colon < 0) return { container: text, readOnly: false };
  const mode = text.slice(colon + 1);
  const { readOnly, propagation, words } = parseBindMode(mode);
  if (propagation !== "" || words.includes("nocopy")) throw new MountError(`invalid mode: ${mode}`);
  return { container: text.slice(0, colon), readOnly };
}

/** What is wrong with them, in order. */
export function checkVolumesFrom(specifications: readonly string[]): readonly string[] {
  return specifications.flatMap((text) => {
    try {
      parseVolumesFrom(text);
      return [];
    } catch (error) {
      if (!(error instanceof MountError)) throw error;
      return [error.message];
    }
  });
}

export function isRelabelledFrom(text: string): boolean {
  const colon = text.indexOf(":");
  return colon >= 0 && isRelabelled(text.slice(colon + 1).split(","));
}

/**
 * The other container's mounts as this one's: nothing is copied into them, their volumes are those that it has. As in dockerd, its Tmpfs
 * stay its own; a tmpfs of its Mounts is made anew.
 */
export function inheritMounts(mounts: readonly PlannedMount[], readOnly: boolean): readonly PlannedMount[] {
  return mounts
    .filter(({ origin, kind }) => origin !== "Tmpfs" || kind !== "tmpfs")
    .map((mount): PlannedMount => {
      const inherited = { origin: "VolumesFrom", mode: "", readOnly: mount.readOnly || readOnly } as const;
      if (mount.kind === "volume") return { ...mount, ...inherited, copy: false };
      if (mount.kind !== "tmpfs") return { ...mount, ...inherited };
      const options =
        readOnly && !mount.readOnly ? [...mount.options.filter((word) => word !== "rw"), "ro"] : mount.options;
      return { ...mount, ...inherited, options };
    });
}
