// DELETE /containers/{id}: the process and its shim are gone first, then one commit takes all rows and leaves a "remove" row
// in the journal, then the directories go. A crash in between is finished by restore.ts through that row.

import { rm } from "node:fs/promises";
import { EngineError, messageOf } from "../../base/errors.ts";
import { failpoint } from "../../base/failpoint.ts";
import type { ContainerId } from "../../base/ids.ts";
import { removeSmallTree } from "../kernel/small-tree.ts";
import { cleanRuntime } from "./clean-runtime.ts";
import type { Container } from "./container.ts";
import { forgetExecs } from "./exec-end.ts";
import { anonymousVolumesOf, layerKeysOf } from "./mount-plan.ts";
import type { Room } from "./room.ts";
import { isActive } from "./state.ts";

/** A shim deletes its cgroups and leaves; it takes milliseconds, and seconds on a machine that swaps. */
const shimTimeoutMs = 60_000;

/** A start is not held up by a forced removal, unless its runtime hangs. */
const startPatienceMs = 10_000;

/**
 * @param options volumes: anonymous volumes go too, as they always do with AutoRemove; those that others use stay
 * @throws Conflict running and not forced, or being removed already
 */
export async function removeContainer(
  room: Room,
  id: ContainerId,
  options: { readonly force: boolean; readonly volumes: boolean },
): Promise<void> {
  const container = room.get(id);
  const { name } = container.record;
  {
    const patience = options.force ? setTimeout(() => container.cancelStart?.(), startPatienceMs) : undefined;
    using _held = await room.lock(id).finally(() => clearTimeout(patience));
    if (container.removing) throw new EngineError("Conflict", `removal of container ${name} is already in progress`);
    const { status } = container.record.state;
    if (isActive(status) && !options.force) {
      const advice =
        status === "paused" ? " and must be unpaused first" : ": stop the container before removing or force remove";
      throw new EngineError("Conflict", `cannot remove container "${name}": container is ${status}${advice}`);
    }
    container.removing = true;
  }
  try {
    await endTask(room, container);
    await destroy(room, container, options.volumes || container.record.hostConfig.AutoRemove === true);
  } catch (error) {
    container.removing = false;
    throw error;
  }
}

async function endTask(room: Room, container: Container): Promise<void> {
  container.exitsForGood = true;
  if (!isActive(container.record.state.status)) return;
  const { name } = container.record;
  try {
    await room.steps.end(container);
  } catch (error) {
    throw new EngineError(
      "Conflict",
      `cannot remove container "${name}": could not kill container: ${messageOf(error)}`,
      {
        cause: error,
      },
    );
  }
}

/** Removes a container that has ended by itself, or could not start, and whose AutoRemove says so; never throws. */
export async function removeAfterwards(room: Room, container: Container): Promise<void> {
  if (container.removing) return;
  container.removing = true;
  try {
    await destroy(room, container, true);
  } catch (error) {
    container.removing = false;
    room.deps.logger.error("automatic removal failed", { container: container.id, error: messageOf(error) });
  }
}

/** The container has no process any more, and nobody can start it: `removing` is set. */
async function destroy(room: Room, container: Container, withVolumes: boolean): Promise<void> {
  const { store, snapshots, networks, volumes } = room.deps;
  const { id, name } = container.record;
  const doomed = withVolumes ? anonymousVolumesOf(container.record) : [];
  await shimGone(container);
  await failpoint("container.remove.ended");
  const layers = layerKeysOf(container.record).map((key) => snapshots.removal(key));
  const payload = renderPayload(doomed);
  await store.commit(
    [
      { put: "ops", row: { id: removeOp(id), kind: "remove", subject: id, step: 0, payload } },
      { delete: "containers", key: id },
      ...layers.flatMap(({ changes }) => changes),
      ...networks.release(id),
    ],
    { freesSpace: true },
  );
  room.discarding.add(id);
  room.containers.delete(id);
  if (room.names.get(name) === id) room.names.delete(name);
  forgetExecs(room, container);
  try {
    await failpoint("container.remove.committed");
    await Promise.all([
      ...layers.map((layer) => layer.discard()),
      removeDirectories(room, id),
      doomed.length > 0 ? volumes.removeAnonymous(doomed) : undefined,
    ]);
    await failpoint("container.remove.discarded");
    room.settle(removeOp(id), id);
  } catch (error) {
    // The journal's row stays: the next start of the daemon, or a check, deletes what is left.
    room.discarding.delete(id);
    room.deps.logger.error("a removed container's directories could not be deleted", {
      container: id,
      error: messageOf(error),
    });
  }
  room.announce(container, "destroy");
  container.announceRemoval();
}

async function shimGone(container: Container): Promise<void> {
  const { cleared } = container;
  if (cleared === undefined) return;
  const { promise, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(
    () =>
      reject(
        new EngineError(
          "Deadline",
          `the shim of container ${container.id} did not leave within ${shimTimeoutMs / 1000} s`,
        ),
      ),
    shimTimeoutMs,
  );
  try {
    await Promise.race([cleared, promise]);
  } finally {
    clearTimeout(timer);
  }
}

/** The anonymous volumes that go with a container, in the journal's row of its removal; "" where none do. */
function renderPayload(volumes: readonly string[]): string {
  return volumes.length > 0 ? JSON.stringify({ volumes }) : "";
}

function parsePayload(payload: string): readonly string[] {
  return payload === "" ? [] : (JSON.parse(payload) as { readonly volumes: readonly string[] }).volumes;
}

/** A removal that was cut off after its commit, to its end. */
export async function finishRemoval(room: Room, id: ContainerId, payload: string): Promise<void> {
  const { snapshots, store, volumes } = room.deps;
  await cleanRuntime(room, { id, hostConfig: {} });
  const layer = snapshots.removal(id);
  if (layer.changes.length > 0) await store.commit(layer.changes, { freesSpace: true });
  const doomed = parsePayload(payload);
  await Promise.all([
    layer.discard(),
    removeDirectories(room, id),
    doomed.length > 0 ? volumes.removeAnonymous(doomed) : undefined,
  ]);
  await store.commit([{ delete: "ops", key: removeOp(id) }], { freesSpace: true });
}

export async function removeDirectories(room: Room, id: ContainerId): Promise<void> {
  for (const path of [room.dataDir(id), room.runDir(id)]) {
    if (!removeSmallTree(path)) await rm(path, { recursive: true, force: true, maxRetries: 2 });
  }
}

/** Key of the journal row of a removal. */
export function removeOp(id: ContainerId): string {
  return `remove:${id}`;
}
