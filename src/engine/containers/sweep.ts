// Deletes what belongs to no container, once, when the daemon has taken over everything else: shims, runtime state, cgroups,
// addresses, writable layers, directories. A crash at any point of any operation ends here.

import { rm } from "node:fs/promises";
import { messageOf } from "../../base/errors.ts";
import { failpoint } from "../../base/failpoint.ts";
import type { ContainerId } from "../../base/ids.ts";
import type { Shim } from "../runtime/index.ts";
import type { Change } from "../store/index.ts";
import { cleanRuntime } from "./clean-runtime.ts";
import { dataDirs, ownCgroups, runDirs, runtimeStates, shmDirs, signalShims } from "./kernel-state.ts";
import { layerOwner } from "./mount-plan.ts";
import type { Room } from "./room.ts";
import { endShim } from "./start.ts";

export async function sweepOrphans(room: Room): Promise<void> {
  const { logger } = room.deps;
  const [runs, states, shms] = await Promise.all([runDirs(room), runtimeStates(room), shmDirs(room)]);
  const leftovers = new Set([...runs, ...states, ...shms, ...ownCgroups(room)].filter((id) => !hasTask(room, id)));
  await Promise.all(
    [...leftovers].map(async (id) => {
      try {
        await sweepRun(room, id);
        logger.warn("a run that belongs to nobody was ended", { container: id });
      } catch (error) {
        logger.error("a run that belongs to nobody could not be ended", { container: id, error: messageOf(error) });
      }
    }),
  );
  await failpoint("container.sweep.ran");
  await sweepEndpoints(room);
  await sweepLayers(room);
  for (const id of await dataDirs(room)) {
    if (room.containers.has(id) || room.damaged.has(id)) continue;
    await rm(room.dataDir(id), { recursive: true, force: true });
    logger.info("the directory of a container that does not exist was deleted", { container: id });
  }
}

/** A damaged record's container may run: it is left alone with its shim. */
function hasTask(room: Room, id: ContainerId): boolean {
  return room.containers.get(id)?.task !== undefined || room.damaged.has(id);
}

/** A container's shim, or undefined where there is none. One that stands still is woken; one that hangs is killed, and is none. */
export async function connectOrKill(room: Room, id: ContainerId): Promise<Shim | undefined> {
  const { shims, logger } = room.deps;
  const runDir = room.runDir(id);
  try {
    return await shims.connect(id, runDir).catch(async (error: unknown) => {
      logger.warn("a shim does not answer", { container: id, error: messageOf(error) });
      await signalShims(room, id, "SIGCONT");
      return await shims.connect(id, runDir);
    });
  } catch (error) {
    logger.error("a shim does not answer and is killed", { container: id, error: messageOf(error) });
    await signalShims(room, id, "SIGKILL");
    return undefined;
  }
}

/** Ends a shim without a running record, or what is left of one. */
export async function sweepRun(room: Room, id: ContainerId): Promise<void> {
  const shim = await connectOrKill(room, id);
  if (shim !== undefined) await endShim(shim);
  await cleanRuntime(room, room.containers.get(id)?.record ?? { id, hostConfig: {} });
}

/** Addresses and ports of what does not run. */
async function sweepEndpoints(room: Room): Promise<void> {
  const { store, networks } = room.deps;
  const [endpoints, sandboxes] = await Promise.all([store.load("endpoints"), store.load("sandboxes")]);
  const changes: Change[] = [];
  for (const { id: key, container_id: container } of endpoints) {
    if (hasTask(room, container as ContainerId)) continue;
    networks.release(container as ContainerId);
    changes.push({ delete: "endpoints", key });
  }
  for (const { container_id: key } of sandboxes) {
    if (hasTask(room, key as ContainerId)) continue;
    networks.release(key as ContainerId);
    changes.push({ delete: "sandboxes", key });
  }
  if (changes.length === 0) return;
  await store.commit(changes, { freesSpace: true });
  room.elementsLost = true;
}

/** Writable layers of containers that do not exist. */
async function sweepLayers(room: Room): Promise<void> {
  const { store, snapshots, logger } = room.deps;
  for (const { key } of await store.load("snapshots")) {
    const owner = layerOwner(key);
    if (room.containers.has(owner) || room.damaged.has(owner)) continue;
    const layer = snapshots.removal(key);
    await store.commit(layer.changes, { freesSpace: true });
    await layer.discard();
    logger.info("the writable layer of a container that does not exist was deleted", { container: key });
  }
}
