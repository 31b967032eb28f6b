// The face of the container room: containers, their execs, and what the other rooms ask of them.

import type { Digest } from "../../base/digest.ts";
import type { CheckFinding, ContainersPort, ExecsPort } from "../api/ports.ts";
import type { ImageUsers } from "../images/index.ts";
import type { NetworkUser, NetworkUsers } from "../network/index.ts";
import type { VolumeUsers } from "../volumes/index.ts";
import { containerChanges, extractInto, packPath, statPath } from "./archive.ts";
import { attachContainer } from "./attach.ts";
import { checkContainers } from "./check.ts";
import { createContainer } from "./create.ts";
import { connectNetwork, disconnectNetwork } from "./connect-network.ts";
import { createExec, inspectExec, resizeExec, resolveExec } from "./exec.ts";
import { startExec } from "./exec-start.ts";
import { inspectContainer } from "./inspect.ts";
import { listContainers } from "./list.ts";
import { readContainerLogs } from "./logs.ts";
import type { ContainerRecord } from "./model.ts";
import { mountedImagesOf } from "./mount-plan.ts";
import { pauseContainer, unpauseContainer } from "./pause.ts";
import { pruneContainers } from "./prune.ts";
import { removeContainer } from "./remove.ts";
import { removeLink } from "./remove-link.ts";
import { renameContainer } from "./rename.ts";
import { resizeContainer } from "./resize.ts";
import { resolveContainer } from "./resolve.ts";
import { restartContainer } from "./restart.ts";
import { restoreContainers } from "./restore.ts";
import { type ContainersDeps, Room } from "./room.ts";
import { launch, startContainer } from "./start.ts";
import { isActive, type Status } from "./state.ts";
import { kill, killContainer, stopContainer } from "./stop.ts";
import { topContainer } from "./top.ts";
import { commitContainer } from "./commit.ts";
import { exportContainer } from "./export.ts";
import { waitForContainer } from "./wait.ts";

export type { ContainersConfig, ContainersDeps } from "./room.ts";

export interface Containers extends ContainersPort, ImageUsers, NetworkUsers, VolumeUsers {
  readonly execs: ExecsPort;
  /** The state of every container, for the counts of `docker info`. */
  states(): readonly Status[];
  /**
   * Takes over what an earlier daemon left: records, running containers, operations cut in the middle, garbage. To be called
   * once, after networks.setUp and before the API listens; restart policies fire before it resolves, starts go on behind it.
   */
  restore(): Promise<void>;
  /** Lets go: containers run on, their shims keep everything for the next daemon. Waits for what is under way. */
  shutdown(): Promise<void>;
  /** F1–F5, F9, F13–F17 as far as this room sees them. The caller looks twice before it lets anything be repaired. */
  check(options: { readonly repair: boolean }): Promise<readonly CheckFinding[]>;
}

/** Makes the room; nothing is read before `restore`. */
export function createContainers(deps: ContainersDeps): Containers {
  const room = new Room(deps, (self) => ({
    restart: (container) => launch(self, container, container.record, undefined),
    async end(container) {
      const { task } = container;
      if (task !== undefined) await kill(self, container.id, task);
      else await killContainer(self, container.id, undefined);
    },
  }));
  const execs: ExecsPort = {
    resolve: (id) => resolveExec(room, id),
    create: (containerId, request) => createExec(room, containerId, request),
    start: (id, request, signal) => startExec(room, id, request, signal),
    resize: (id, height, width) => resizeExec(room, id, height, width),
    inspect: (id) => Promise.try(() => inspectExec(room, id)),
  };
  return {
    execs,
    resolve: (nameOrId) => resolveContainer(room, nameOrId),
    create: (request, signal) => createContainer(room, request, signal),
    list: (request) => listContainers(room, request),
    inspect: (id, size) => inspectContainer(room, id, size),
    start: (id, signal) => startContainer(room, id, signal),
    stop: (id, signalName, timeoutSeconds, signal) => stopContainer(room, id, signalName, timeoutSeconds, signal),
    restart: (id, signalName, timeoutSeconds, signal) => restartContainer(room, id, signalName, timeoutSeconds, signal),
    kill: (id, signalName) => killContainer(room, id, signalName),
    pause: (id) => pauseContainer(room, id),
    unpause: (id) => unpauseContainer(room, id),
    rename: (id, newName) => renameContainer(room, id, newName),
    wait: (id, condition, signal) => Promise.try(() => waitForContainer(room, id, condition, signal)),
    remove: (id, options) => removeContainer(room, id, options),
    removeLink: (name) => removeLink(room, name),
    prune: (filters) => pruneContainers(room, filters),
    attach: (id, request, signal) => attachContainer(room, id, request, signal),
    resize: (id, height, width) => resizeContainer(room, id, height, width),
    connectNetwork: (network, container, settings) => connectNetwork(room, network, container, settings),
    disconnectNetwork: (network, container, force) => disconnectNetwork(room, network, container, force),
    logs: (id, request, signal) => Promise.try(() => readContainerLogs(room, id, request, signal)),
    top: (id, psArgs) => topContainer(room, id, psArgs),
    statPath: (id, path, signal) => statPath(room, id, path, signal),
    packPath: (id, path, signal) => packPath(room, id, path, signal),
    extractInto: (id, request, tar, signal) => extractInto(room, id, request, tar, signal),
    changes: (id, signal) => containerChanges(room, id, signal),
    export: (id, signal) => exportContainer(room, id, signal),
    commit: (id, request, signal) => commitContainer(room, id, request, signal),
    containersOf: (image: Digest) =>
      [...room.containers.values()]
        .filter(({ record }) => record.imageId === image || mountedImagesOf(record).includes(image))
        .map(({ record }) => ({ id: record.id, running: isActive(record.state.status) })),
    usersOf: (volume) =>
      [...room.containers.values()]
        .filter(({ record }) => record.mounts.some(({ Type, Name }) => Type === "volume" && Name === volume))
        .map(({ record }) => ({ id: record.id, running: isActive(record.state.status) })),
    get: (id) => {
      const container = room.containers.get(id);
      return container === undefined ? undefined : networkUser(container.record);
    },
    running: () => [...room.containers.values()].flatMap(({ record }) => networkUser(record) ?? []),
    states: () => [...room.containers.values()].map(({ record }) => record.state.status),
    restore: () => restoreContainers(room),
    async shutdown() {
      room.closing.abort();
      for (const { cancelRestart } of room.containers.values()) cancelRestart?.();
      await room.drained();
      await room.flushSettled();
    },
    check: ({ repair }) => checkContainers(room, repair),
  };
}

/** As network/ wants to see a container: undefined where none of its processes runs. */
function networkUser({ id, name, hostConfig, state }: ContainerRecord): NetworkUser | undefined {
  if (state.init === undefined) return undefined;
  return { id, name, networkMode: hostConfig.NetworkMode ?? "", pid: state.init.pid };
}
