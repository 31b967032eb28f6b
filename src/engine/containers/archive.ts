// Files of a container in and out, and what it has changed. A run that ends or begins meanwhile is looked at again, so that no request
// meets half of a container. Texts as dockerd's.

import { posix } from "node:path";
import { once } from "node:events";
import { Readable } from "node:stream";
import { EngineError, isEngineError, messageOf } from "../../base/errors.ts";
import type { ContainerId } from "../../base/ids.ts";
import type { ExtractRequest } from "../api/ports.ts";
import type { PathChange, PathStat } from "../files/index.ts";
import { decompress, detectCompression, magicLength } from "../images/compression.ts";
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
  const tar = await uncompressed(archive, signal);
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

/** The tar; of one that is not compressed the stream itself. */
async function uncompressed(archive: Readable, signal: AbortSignal): Promise<Readable> {
  const compression = detectCompression(await startOf(archive, signal));
  if (compression === "none") return archive;
  return Readable.from(decompress(archive, compression), { objectMode: false, highWaterMark: 256 << 10 });
}

/** The first bytes, which stay in the stream. */
async function startOf(archive: Readable, signal: AbortSignal): Promise<Buffer> {
  let start = Buffer.alloc(0);
  while (start.length < magicLength && !archive.readableEnded) {
    const chunk = archive.read() as Buffer | null;
    if (chunk !== null) start = Buffer.concat([start, chunk]);
    else {
      if (archive.errored !== null) throw archive.errored;
      if (archive.destroyed) break;
      await more(archive, signal);
    }
  }
  // Less than any archive has is put back into nothing.
  if (archive.readableEnded && start.length > 0) throw new EngineError("InvalidParameter", "unexpected EOF");
  if (start.length > 0) archive.unshift(start);
  return start;
}

/** Resolves when there is something to read, or nothing will come. */
async function more(archive: Readable, signal: AbortSignal): Promise<void> {
  const close = new AbortController();
  const either = { signal: AbortSignal.any([signal, close.signal]) };
  try {
    await Promise.race([
      once(archive, "readable", either),
      once(archive, "end", either),
      once(archive, "close", either),
    ]);
  } finally {
    close.abort();
  }
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
