// Volumes of `docker system df`: those whose data is the engine's, with the bytes of their files (of snapshots too, where they share no
// blocks) and the number of their containers.

import type { Volume } from "../../spec/docker/volume.ts";
import { isPlainLocal, sizeOf } from "./prune.ts";
import { renderVolume } from "./record.ts";
import type { VolumeRoom } from "./room.ts";

/** More walks at once only make the disk seek. */
const walks = 4;

/** Sorted by name; those that are removed meanwhile are left out. */
export async function measureVolumes(room: VolumeRoom): Promise<readonly Volume[]> {
  const records = [...room.records.values()].filter(isPlainLocal).toSorted((a, b) => (a.name < b.name ? -1 : 1));
  const volumes: Volume[] = [];
  const queue = records.entries();
  await Promise.all(
    Array.from({ length: walks }, async () => {
      for (const [index, record] of queue) {
        const { name } = record;
        const Size = (await sizeOf(room, name)) + room.history.sizeBytes(name);
        const UsageData = { RefCount: room.deps.users.usersOf(name).length, Size };
        volumes[index] = { ...renderVolume(record, undefined, room.layout.data(name)), UsageData };
      }
    }),
  );
  return volumes.filter(({ Name }) => room.records.has(Name));
}
