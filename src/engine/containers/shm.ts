// /dev/shm of containers that share it: a tmpfs on the host at <execRoot>/shm/<id>, bound into the donor (IpcMode shareable) and into
// those that join it (container:x). Everybody else has one of their own inside, made by the runtime.

import { existsSync, mkdirSync, rmdirSync } from "node:fs";
import { join } from "node:path";
import type { ContainerId } from "../../base/ids.ts";
import { readMounts } from "../kernel/mountinfo.ts";
import { run } from "../kernel/run.ts";
import type { ContainerRecord } from "./model.ts";
import type { Room } from "./room.ts";

export function sharedShm(room: Room, id: ContainerId): string {
  // Not in the run directory, which the shim covers with a mount of its own.
  return join(room.deps.paths.execRoot, "shm", id);
}

/** Host path to bind to /dev/shm, or undefined for a new one. @param peer the container whose IPC namespace is joined */
export function shmPathOf(
  room: Room,
  { id, hostConfig }: ContainerRecord,
  peer: ContainerRecord | undefined,
): string | undefined {
  if (hostConfig.IpcMode === "host" || peer?.hostConfig.IpcMode === "host") return "/dev/shm";
  if (hostConfig.IpcMode === "shareable") return sharedShm(room, id);
  return peer === undefined ? undefined : sharedShm(room, peer.id);
}

/** Before the shim is spawned, so that its mount namespace has it. @throws System */
export async function mountShm(room: Room, { id, hostConfig }: ContainerRecord): Promise<void> {
  if (hostConfig.IpcMode !== "shareable") return;
  const path = sharedShm(room, id);
  mkdirSync(path, { recursive: true, mode: 0o700 });
  const options = `nosuid,nodev,noexec,mode=1777,size=${hostConfig.ShmSize ?? 64 << 20}`;
  await run(["mount", "-t", "tmpfs", "-o", options, "shm", path]);
}

/** Idempotent. Joined containers keep what they have bound. */
export async function unmountShm(room: Room, id: ContainerId): Promise<void> {
  const path = sharedShm(room, id);
  if (!existsSync(path)) return;
  for (const { mountPoint } of readMounts()) {
    if (mountPoint === path) await run(["umount", "--lazy", path]);
  }
  rmdirSync(path);
}
