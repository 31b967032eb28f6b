// What an image holds at a mount's target becomes the content of an empty volume: copied whole first, to a place where nobody looks, and
// then moved in by renames. A volume whose data is a directory of the engine is filled from beside it; one that a file system is mounted
// on, or a plugin's, from a directory in itself, for nothing else can be renamed into it. That one is made and reached by
// descriptors: whoever can write to the volume cannot lead the copy elsewhere.

import { randomUUID } from "node:crypto";
import { constants } from "node:fs";
import { mkdir, open, opendir } from "node:fs/promises";
import { basename, join } from "node:path";
import { EngineError, isEngineError, messageOf } from "../../base/errors.ts";
import { failpoint } from "../../base/failpoint.ts";
import { run } from "../kernel/run.ts";
import type { VolumeDriver, VolumeWish } from "./index.ts";
import { fullOr } from "./local.ts";
import { beginOp, endOp } from "./ops.ts";
import type { VolumeRoom } from "./room.ts";

const eraseTimeoutMs = 3_600_000;

export type Fill = NonNullable<VolumeWish["fill"]>;

/** Content that is whole and waits to be moved in. */
export interface StagedFill {
  /** Moves it in and releases the volume. */
  apply(): Promise<void>;
  /** Deletes it and releases the volume. Never throws. */
  discard(): Promise<void>;
}

/** Where in a staged directory the content is. */
const freshName = "fresh";
/** Where an exchange puts what it replaces: nothing, here. */
const asideName = "aside";

/** Moves staged content in, or goes on with that. */
export function exchangeFresh(room: VolumeRoom, data: string, staged: string): Promise<void> {
  return room.deps.trees.exchange(data, join(staged, freshName), join(staged, asideName));
}

/** By rm, which holds every directory by a descriptor: others may write to the volume meanwhile. */
export async function eraseStaged(staged: string): Promise<void> {
  await run(["rm", "-rf", "--one-file-system", "--", staged], { timeoutMs: eraseTimeoutMs });
}

async function isEmpty(directory: string): Promise<boolean> {
  const listing = await opendir(directory);
  try {
    return (await listing.read()) === null;
  } finally {
    await listing.close();
  }
}

/**
 * Copies an image's content for a volume that is there, if that is empty and the image has such a directory.
 *
 * @returns undefined: there is nothing to do, and the volume is released
 * @throws Unavailable the disk is full; System the driver cannot mount it: nothing is left then
 * The caller holds the volume's name.
 */
export async function stageFill(
  room: VolumeRoom,
  driver: VolumeDriver,
  volume: string,
  fill: Fill,
  signal: AbortSignal,
): Promise<StagedFill | undefined> {
  const user = `fill-${randomUUID()}`;
  let data: string;
  try {
    data = await mountToFill(room, driver, volume, user);
  } catch (error) {
    // A volume that cannot be mounted now is no matter until a start, unless there is something to put into it.
    if (await hasContent(room, fill, signal)) throw error;
    return undefined;
  }
  await using stack = new AsyncDisposableStack();
  stack.defer(() => release(room, driver, volume, user));
  if (!(await isEmpty(data))) return undefined;
  const isInside = driver !== room.local || room.local.isMounted(volume);
  const staged = isInside ? join(data, `.gantry-new-${randomUUID()}`) : room.layout.stage();
  const { store, logger } = room.deps;
  if (isInside) await store.commit([beginOp("fill", volume, { staged: basename(staged), isInside })]);
  const clear = async (): Promise<void> => {
    await eraseStaged(staged);
    await store.commit([endOp("fill", volume)], { freesSpace: true });
  };
  stack.defer(() =>
    clear().catch((error: unknown) =>
      logger.error("what should have filled a volume is left", { volume, staged, error: messageOf(error) }),
    ),
  );
  try {
    if (!(await copyContent(room, data, staged, isInside, fill, signal))) return undefined;
  } catch (error) {
    throw fullOr(error, `failed to populate volume: copy to ${volume}`);
  }
  await failpoint("volume.provide.copied");
  const owned = stack.move();
  return {
    apply: async () => {
      try {
        await store.commit([beginOp("fill", volume, { staged: basename(staged), isInside, isWhole: true })]);
      } catch (error) {
        await owned.disposeAsync();
        throw error;
      }
      await failpoint("volume.provide.whole");
      try {
        await exchangeFresh(room, data, staged);
      } catch (error) {
        // The journal has it: the next start goes on.
        await release(room, driver, volume, user);
        throw error;
      }
      await failpoint("volume.provide.moved");
      await owned.disposeAsync();
    },
    discard: () => owned.disposeAsync(),
  };
}

/** Whether the image has a directory there. */
async function hasContent(room: VolumeRoom, fill: Fill, signal: AbortSignal): Promise<boolean> {
  const staged = room.layout.stage();
  try {
    const fresh = join(staged, freshName);
    await mkdir(fresh);
    return await room.deps.trees.fill(fill.lower, fill.path, fresh, signal);
  } finally {
    await eraseStaged(staged);
  }
}

/** @throws System in dockerd's words */
export async function mountToFill(
  room: VolumeRoom,
  driver: VolumeDriver,
  volume: string,
  user: string,
): Promise<string> {
  try {
    return await driver.mount(volume, user);
  } catch (error) {
    throw new EngineError(
      isEngineError(error) ? error.kind : "System",
      `failed to populate volume: error while mounting volume '${driver === room.local ? room.layout.data(volume) : volume}': ${messageOf(error)}`,
      { cause: error },
    );
  }
}

async function release(room: VolumeRoom, driver: VolumeDriver, volume: string, user: string): Promise<void> {
  try {
    await driver.unmount(volume, user);
  } catch (error) {
    room.deps.logger.error("a volume that was filled cannot be unmounted", { volume, error: messageOf(error) });
  }
}

/** @returns false where the image has nothing to copy */
async function copyContent(
  room: VolumeRoom,
  data: string,
  staged: string,
  isInside: boolean,
  fill: Fill,
  signal: AbortSignal,
): Promise<boolean> {
  const { trees, quotas } = room.deps;
  if (!isInside) {
    const fresh = join(staged, freshName);
    await mkdir(fresh);
    // Only so can it be moved into a volume whose size is limited.
    await quotas.share(fresh, data);
    return trees.fill(fill.lower, fill.path, fresh, signal);
  }
  await using opened = new AsyncDisposableStack();
  const enter = async (path: string): Promise<string> => {
    const handle = await open(path, constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW);
    opened.defer(() => handle.close());
    return `/proc/${process.pid}/fd/${handle.fd}`;
  };
  const make = async (parent: string, name: string): Promise<string> => {
    const path = join(parent, name);
    await mkdir(path, { mode: 0o700 });
    return enter(path);
  };
  const fresh = await make(await make(await enter(data), basename(staged)), freshName);
  // Awaited here: the descriptors are open until then.
  return await trees.fill(fill.lower, fill.path, `${fresh}/.`, signal);
}
