// Other containers whose namespaces a container shares: network, PID, IPC of mode "container:<id>".

import { EngineError } from "../../base/errors.ts";
import type { ContainerId } from "../../base/ids.ts";
import type { HostConfig } from "../../spec/docker/container.ts";
import type { ContainerRecord } from "./model.ts";
import type { Room } from "./room.ts";
import { hasProcess } from "./state.ts";

export interface Joins {
  readonly network: ContainerRecord | undefined;
  readonly pid: ContainerRecord | undefined;
  readonly ipc: ContainerRecord | undefined;
}

/**
 * The containers to join when one starts; each has a process.
 *
 * @throws System           it was removed
 * @throws Conflict         it does not run
 * @throws InvalidParameter its IPC namespace is not shareable
 */
export function joinsOf(room: Room, { NetworkMode, PidMode, IpcMode }: HostConfig): Joins {
  const network = peerOf(room, NetworkMode, "network");
  if (network !== undefined && !hasProcess(network.state.status)) {
    const { name, state } = network;
    const text = `cannot join network namespace of a non running container: container ${name} is ${state.status}`;
    throw new EngineError("Conflict", text);
  }
  const pid = runningPeerOf(room, PidMode, "PID");
  const ipc = runningPeerOf(room, IpcMode, "IPC");
  if (ipc !== undefined && !["shareable", "host"].includes(ipc.hostConfig.IpcMode ?? "")) {
    const text = `failed to join IPC namespace: container ${ipc.id}: non-shareable IPC (hint: use IpcMode:shareable for the donor container)`;
    throw new EngineError("InvalidParameter", text);
  }
  return { network, pid, ipc };
}

/** Complaints at create: as in dockerd a network's container may come later, the others must be there. */
export function missingPeers(room: Room, { PidMode, IpcMode }: HostConfig): readonly string[] {
  return [PidMode, IpcMode].flatMap((mode) => {
    const target = targetOf(mode);
    return target === undefined || findPeer(room, target) !== undefined ? [] : [`No such container: ${target}`];
  });
}

function runningPeerOf(room: Room, mode: string | undefined, kind: "PID" | "IPC"): ContainerRecord | undefined {
  const peer = peerOf(room, mode, kind);
  if (peer === undefined || hasProcess(peer.state.status)) return peer;
  throw new EngineError("Conflict", `failed to join ${kind} namespace: container ${peer.id} is not running`);
}

function peerOf(room: Room, mode: string | undefined, kind: "network" | "PID" | "IPC"): ContainerRecord | undefined {
  const target = targetOf(mode);
  if (target === undefined) return undefined;
  const peer = findPeer(room, target);
  if (peer !== undefined) return peer;
  throw new EngineError("System", `joining ${kind} namespace of container: No such container: ${target}`);
}

/** Modes are pinned to ids at create; one that could not be is still a name. */
function findPeer(room: Room, target: string): ContainerRecord | undefined {
  return room.containers.get(room.names.get(target) ?? (target as ContainerId))?.record;
}

function targetOf(mode: string | undefined): string | undefined {
  return /^container:(.+)$/s.exec(mode ?? "")?.[1];
}
