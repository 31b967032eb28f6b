// Pause and unpause: the cgroup freezer. The record follows the kernel; restore.ts corrects it when a crash came between.

import { EngineError } from "../../base/errors.ts";
import { failpoint } from "../../base/failpoint.ts";
import type { ContainerId } from "../../base/ids.ts";
import { freezeCgroup, thawCgroup } from "../kernel/cgroups.ts";
import type { Container } from "./container.ts";
import { recordFact } from "./record-fact.ts";
import type { Room } from "./room.ts";
import { nextStatus } from "./state.ts";

/** @throws Conflict not running, restarting, or paused already */
export async function pauseContainer(room: Room, id: ContainerId): Promise<void> {
  using held = await room.lock(id);
  const { container } = held;
  const { record } = container;
  const { status } = record.state;
  if (status === "paused") throw new EngineError("Conflict", `Container ${id} is already paused`);
  if (status === "restarting") {
    throw new EngineError("Conflict", `Container ${id} is restarting, wait until the container is running`);
  }
  if (status !== "running") throw new EngineError("Conflict", `container ${id} is not running`);
  await pause(room, container);
}

/**
 * To be called with the container locked, and running.
 *
 * @param pausedFor why the engine does so by itself; written down before, so that the container wakes even if the daemon is killed
 */
export async function pause(room: Room, container: Container, pausedFor?: "commit"): Promise<void> {
  if (pausedFor !== undefined)
    await room.commit(container, { ...container.record, state: { ...container.record.state, pausedFor } });
  const { record } = container;
  const { status } = record.state;
  await freezeCgroup(room.hierarchies, room.cgroupPath(record));
  try {
    await failpoint("container.pause.frozen");
    await room.commit(container, {
      ...record,
      state: { ...record.state, status: nextStatus(status, "pause"), pausedFor },
    });
  } catch (error) {
    // What is frozen and not known to be could not even be killed.
    thawCgroup(room.hierarchies, room.cgroupPath(record));
    throw error;
  }
  room.announce(container, "pause");
}

/** @throws System not paused: dockerd's status for it is 500 */
export async function unpauseContainer(room: Room, id: ContainerId): Promise<void> {
  using held = await room.lock(id);
  const { container } = held;
  if (container.record.state.status !== "paused") throw new EngineError("System", `Container ${id} is not paused`);
  await thaw(room, container);
}

/** To be called with the container locked, and paused. */
export async function thaw(room: Room, container: Container): Promise<void> {
  const { record } = container;
  thawCgroup(room.hierarchies, room.cgroupPath(record));
  await failpoint("container.unpause.thawed");
  await recordFact(room, container, {
    ...record,
    state: { ...record.state, status: nextStatus(record.state.status, "unpause"), pausedFor: undefined },
  });
  room.announce(container, "unpause");
}
