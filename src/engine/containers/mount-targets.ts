// Where mounts end up once the links of a container's own files are followed: an image must not choose a place by a link that
// it could not have by name. crun 1.8 follows links into /proc, runc refuses.

import { EngineError } from "../../base/errors.ts";
import { isInsideProc, type PlannedMount, resolveConfinedPath } from "../runtime/index.ts";

/**
 * @param layers the container's: its own, then those under it
 * @throws InvalidParameter a mount's place is inside of /proc
 */
export async function refuseTargets(mounts: readonly PlannedMount[], layers: readonly string[]): Promise<void> {
  for (const { destination } of mounts) {
    const target = await resolveConfinedPath(layers, destination);
    if (target === undefined)
      throw new EngineError("InvalidParameter", `${destination}: too many levels of symbolic links`);
    if (target !== destination && isInsideProc(target))
      throw new EngineError(
        "InvalidParameter",
        `${JSON.stringify(destination)} leads to ${JSON.stringify(target)}, which cannot be mounted because it is inside /proc`,
      );
  }
}
