// The volumes room put together.

import { checkVolumes } from "./check.ts";
import { createVolume, updateVolume } from "./create.ts";
import { createVolumeHistory } from "./history.ts";
import type { Volumes } from "./index.ts";
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
import { createRoom, type VolumesDeps } from "./room.ts";
import { measureVolumes } from "./usage.ts";
import { adoptVolume, useVolume } from "./use.ts";

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
