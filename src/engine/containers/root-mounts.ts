// Stub until volumes are mounted: what a stopped container's tree shows beside its layers.
import type { RootMount } from "../files/index.ts";
import type { ContainerRecord } from "./model.ts";
import type { Room } from "./room.ts";

/**
 * Volumes and binds of a container that does not run, mounted by their drivers until disposed. Tmpfs mounts are not among them; a bind
 * whose source is gone is left out.
 */
export async function holdRootMounts(
  _room: Room,
  _record: ContainerRecord,
): Promise<AsyncDisposable & { readonly mounts: readonly RootMount[] }> {
  return { mounts: [], [Symbol.asyncDispose]: () => Promise.resolve() };
}
