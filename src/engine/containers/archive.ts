// Files of a container in and out, and what it has changed. A run that ends or begins meanwhile is looked at again, so that no request
// meets half of a container. Texts as dockerd's.

import { posix } from "node:path";
import { Readable } from "node:stream";
import { EngineError, isEngineError, messageOf } from "../../base/errors.ts";
import type { ContainerId } from "../../base/ids.ts";
import type { ExtractRequest } from "../api/ports.ts";
import type { PathChange, PathStat } from "../files/index.ts";
import { openCompressed } from "../images/compression.ts";
import { type ContainerView, openView } from "./archive-view.ts";
import type { Room } from "./room.ts";

/** A container that starts and ends all the time is a conflict after so many. */
const maxLooks = 5;

/** @throws NotFound nothing is there; Conflict it starts and ends all the time, or is being removed */
export function statPath(room: Room, id: ContainerId, path: string, signal: AbortSignal): Promise<PathStat> {
  return look(room, id, "read", ({ root }) => room.deps.files.stat(root, path, signal));
}

/** As statPath, before the stream exists; its last read throws what happens later. */
export function packPath(
  room: Room,
  id: ContainerId,
  path: string,
  signal: AbortSignal,
): Promise<{ readonly stat: PathStat; readonly tar: Readable }> {
  return look(room, id, "read", async ({ root, container }) => {
    const packed = await room.deps.files.pack(root, cleanPath(path), signal);
    room.announce(container, "archive-path");
    return packed;
  });
}

/**
 * Unpacks a tar, compressed or not, into a directory.
 *
 * @throws as statPath; InvalidParameter it is no directory or mounted read-only, the archive is damaged or hostile, there is no
 *         such user; Unavailable no space is left
 */
export async function extractInto(
  room: Room,
  id: ContainerId,
  { path, noOverwriteDirNonDir, copyUidGid }: ExtractRequest,
  archive: Readable,
  signal: AbortSignal,
): Promise<void> {
  // Read by whoever gets as far as that, once.
  const tar = Readable.from(uncompressed(archive), { objectMode: false, highWaterMark: 256 << 10 });
  try {
    await look(room, id, "write", async (view) => {
      const owner = copyUidGid ? await ownerOf(room, view) : undefined;
      const options = { keepTypes: noOverwriteDirNonDir, owner };
      await room.deps.files.extract(view.root, cleanPath(path), tar, options, signal);
      room.announce(view.container, "extract-to-dir");
    });
  } finally {
    tar.destroy();
  }
}

/** What its writable layer changes of the image's. @throws DataLoss the layer is gone */
export function containerChanges(room: Room, id: ContainerId, signal: AbortSignal): Promise<readonly PathChange[]> {
  room.get(id);
  return room.deps.files.changes(room.deps.snapshots.dirs(id), signal);
}

async function look<T>(
  room: Room,
  id: ContainerId,
  purpose: "read" | "write",
  use: (view: ContainerView) => Promise<T>,
): Promise<T> {
  for (let looks = 1; ; looks++) {
    await using view = await openView(room, id, purpose);
    try {
      return await use(view);
    } catch (error) {
      // Its process has ended before anything was read or made.
      if (view.root.kind !== "live" || !isEngineError(error, "Conflict") || looks === maxLooks) throw error;
      await view.container.task?.finished;
    }
  }
}

async function* uncompressed(archive: Readable): AsyncGenerator<Uint8Array> {
  yield* await openCompressed(archive);
}

/** @throws InvalidParameter there is no such user in the container */
async function ownerOf(
  room: Room,
  { container, roots }: ContainerView,
): Promise<{ readonly uid: number; readonly gid: number } | undefined> {
  const { User = "" } = container.record.config;
  if (User === "") return undefined;
  try {
    const { uid, gid } = await room.deps.specs.resolveUser(User, [], roots);
    return { uid, gid };
  } catch (error) {
    if (!isEngineError(error)) throw error;
    const message = `failed to look up user "${User}" in container: ${messageOf(error)}`;
    throw new EngineError("InvalidParameter", message, { cause: error });
  }
}

/** From the root, without "." and ".." but with the slash or "/." at the end that means a directory. */
export function cleanPath(path: string): string {
  const clean = posix.resolve(`/${path}`);
  const slash = clean === "/" ? "" : "/";
  if (path === "." || path.endsWith("/.")) return `${clean}${slash}.`;
  return path.endsWith("/") ? `${clean}${slash}` : clean;
}
