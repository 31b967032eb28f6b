// A file that holds space in reserve, so that deleting still works when the disk is full: a delete, too, writes to the
// WAL first. It is spent in steps, because what is freed on a file system is there for everybody who writes to it.

import { closeSync, fsyncSync, ftruncateSync, openSync, rmSync, statSync } from "node:fs";
import { open, rename, rm, statfs } from "node:fs/promises";
import { dirname } from "node:path";
import { errnoOf, messageOf } from "../../base/errors.ts";

/** Of the ballast, given back by each call of spend. */
const steps = 8;
/** Until a failed or spent ballast is tried again, monotonic. */
const retryMs = 30_000;
const chunkBytes = 64 << 10;

export interface Ballast {
  /** Gives a part of the reserve back to the file system; false when nothing is left. */
  spend(): boolean;
  /**
   * Fills the reserve in the background when it is not whole, at most every 30 s, and only while the file system has
   * twice as much free. Never rejects; resolves with a complaint, or undefined.
   */
  refill(): Promise<string | undefined>;
}

/** @param bytes 0 for no ballast at all */
export function createBallast(path: string, bytes: number): Ballast {
  let triedAt = Number.NEGATIVE_INFINITY;
  let filling = false;
  return {
    spend() {
      const size = sizeOf(path);
      if (size === 0) return false;
      const handle = openSync(path, "r+");
      try {
        ftruncateSync(handle, Math.max(0, size - Math.ceil(bytes / steps)));
        // ext4 hands freed blocks out again only after its journal has committed.
        fsyncSync(handle);
      } finally {
        closeSync(handle);
      }
      return true;
    },

    async refill() {
      if (filling || sizeOf(path) >= bytes || performance.now() - triedAt < retryMs) return undefined;
      filling = true;
      triedAt = performance.now();
      try {
        await fill(path, bytes);
        return undefined;
      } catch (error) {
        return `cannot reserve ${bytes} bytes for deleting on a full disk in ${path}: ${messageOf(error)}`;
      } finally {
        filling = false;
      }
    },
  };
}

async function fill(path: string, bytes: number): Promise<void> {
  const { bavail, bsize } = await statfs(dirname(path));
  if (bavail * bsize < bytes * 2) throw new Error("too little space is free");
  const unfinished = `${path}.tmp`;
  const file = await open(unfinished, "w", 0o600);
  try {
    // Random, so that a file system that compresses cannot keep the reserve as nothing.
    const chunk = new Uint8Array(chunkBytes);
    for (let written = 0; written < bytes; written += chunkBytes) {
      crypto.getRandomValues(chunk);
      await file.write(chunk, 0, Math.min(chunkBytes, bytes - written));
    }
    await file.sync();
  } catch (error) {
    await rm(unfinished, { force: true });
    throw error;
  } finally {
    await file.close();
  }
  await rename(unfinished, path);
}

function sizeOf(path: string): number {
  try {
    return statSync(path).size;
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return 0;
    throw error;
  }
}

/** Removes what a filling that was killed has left. */
export function sweepBallast(path: string): void {
  rmSync(`${path}.tmp`, { force: true });
}
