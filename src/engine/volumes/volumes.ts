// The volumes room put together.

import type { Logger } from "../../base/log.ts";
import type { Events } from "../events/index.ts";
import type { Files } from "../files/index.ts";
import type { ProjectQuotas } from "../kernel/project-quota.ts";
import type { Store } from "../store/index.ts";
import { checkVolumes } from "./check.ts";
import { createVolume, updateVolume } from "./create.ts";
import { createVolumeHistory } from "./history.ts";
import type { Trees, VolumeDrivers, Volumes, VolumeUsers } from "./index.ts";
import { Layout } from "./layout.ts";
import { inspectVolume, listVolumes } from "./list.ts";
import { createLocalDriver } from "./local.ts";
import { mountVolume, unmountVolume } from "./mount.ts";
import { createMounter } from "./mounter.ts";
import { resolveHost } from "./network-address.ts";
import { nameWish, provideVolumes } from "./provide.ts";
import { pruneVolumes } from "./prune.ts";
import { removeAnonymousVolumes, removeVolume } from "./remove.ts";
import { restoreVolumes } from "./restore.ts";
import { createRoom } from "./room.ts";
import { measureVolumes } from "./usage.ts";
import { adoptVolume, useVolume } from "./use.ts";

export interface VolumesDeps {
  readonly store: Store;
  readonly trees: Trees;
  readonly files: Files;
  readonly drivers: VolumeDrivers;
  readonly users: VolumeUsers;
  readonly events: Events;
  readonly quotas: ProjectQuotas;
  readonly dataRoot: string;
  /** Path of gantry-copy, which makes the system calls of mounts. */
  readonly copyPath: string;
  readonly logger: Logger;
}

export function createVolumes(deps: VolumesDeps): Volumes {
  const { store, trees, files, events, quotas, logger } = deps;
  const layout = new Layout(deps.dataRoot);
  const mounter = createMounter(deps.copyPath);
  const local = createLocalDriver({ layout, mounter, quotas, resolve: resolveHost, logger });
  const history = createVolumeHistory({
    store,
    trees,
    files,
    quotas,
    use: (volume) => useVolume(room, volume),
    adopt: (record, fresh) => adoptVolume(room, record, fresh),
    staging: () => layout.stage(),
    publish: (action, volume, attributes) => events.publish({ type: "volume", action, id: volume, attributes }),
    logger,
  });
  const room = createRoom(deps, layout, local, history);
  return {
    restore: async () => {
      await restoreVolumes(room);
      await history.load();
    },
    settle: () =>
      local.settle((name) =>
        deps.users
          .usersOf(name)
          .filter(({ running }) => running)
          .map(({ id }) => id),
      ),
    provide: (wishes, signal) => provideVolumes(room, wishes.map(nameWish), signal),
    mount: (name, user, places = []) => mountVolume(room, name, user, places),
    unmount: (name, user) => unmountVolume(room, name, user),
    has: (name) => room.records.has(name),
    removeAnonymous: (names) => removeAnonymousVolumes(room, names),
    usage: () => measureVolumes(room),
    check: ({ repair }) => checkVolumes(room, history, repair),
    close: async () => {
      await Promise.all(room.ending);
    },
    create: (request, signal) => createVolume(room, request, signal),
    list: (filters) => listVolumes(room, filters),
    inspect: (name) => inspectVolume(room, name),
    update: (name, labels) => updateVolume(room, name, labels),
    remove: (name, force) => removeVolume(room, name, force),
    prune: (filters) => pruneVolumes(room, filters),
    history,
  };
}
