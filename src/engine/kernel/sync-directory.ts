// Durable renames.

import { closeSync, constants, fsync, openSync } from "node:fs";

/** Makes renames in a directory of the engine's durable. Only what waits for the disk is given to a thread. */
export async function syncDirectory(path: string): Promise<void> {
  const directory = openSync(path, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    await new Promise<void>((resolve, reject) => {
      fsync(directory, (error) => (error === null ? resolve() : reject(error)));
    });
  } finally {
    closeSync(directory);
  }
}
