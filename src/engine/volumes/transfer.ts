// Volumes as tars: out of a volume or a snapshot, and into a new volume. What is imported is unpacked beside the volumes and becomes one by a
// rename: a tar that is cut off, hostile or too large leaves nothing.

import { chmod, statfs } from "node:fs/promises";
import { Readable } from "node:stream";
import { EngineError, isEngineError, messageOf } from "../../base/errors.ts";
import { failpoint } from "../../base/failpoint.ts";
import { openCompressed } from "../images/compression.ts";
import { type HistoryRoom, nameFailure } from "./history-room.ts";
import { holdVolume } from "./hold-volume.ts";
import type { VolumeHistory } from "./index.ts";
import { checkLocalName } from "./names.ts";
import { renderVolume } from "./record.ts";
import { snapshotDirectory } from "./snapshots.ts";

/** What an import leaves free for the store, logs and writable layers. */
const reserveBytes = 64 << 20;

/** See VolumeHistoryPort. The volume is held until the stream has ended. @throws NotFound */
export async function exportVolume(
  room: HistoryRoom,
  volume: string,
  snapshot: string | undefined,
  signal: AbortSignal,
): Promise<Readable> {
  const held = await holdVolume(room, volume);
  try {
    const path = snapshot === undefined ? held.data : snapshotDirectory(room, held, volume, snapshot);
    const { tar } = await room.deps.files.pack({ kind: "directory", path }, "/.", signal);
    tar.once("close", () => {
      Promise.resolve(held[Symbol.asyncDispose]()).catch((error: unknown) =>
        room.deps.logger.error("a volume was not let go", { volume, error: messageOf(error) }),
      );
    });
    return tar;
  } catch (error) {
    await held[Symbol.asyncDispose]();
    throw error;
  }
}

/** See VolumeHistoryPort. @throws InvalidParameter the name, the tar; Conflict; Unavailable the disk is full */
export async function importVolume(
  room: HistoryRoom,
  { name, labels }: Parameters<VolumeHistory["import"]>[0],
  tar: Readable,
  signal: AbortSignal,
): ReturnType<VolumeHistory["import"]> {
  const { files, trees, adopt, use, staging, publish } = room.deps;
  if (name === "") throw new EngineError("InvalidParameter", "an import needs a name for the volume");
  checkLocalName(name);
  await refuseExisting(room, name);
  const fresh = staging();
  try {
    // As every new volume's, unless the tar says otherwise.
    await chmod(fresh, 0o755);
    const { bavail, bsize } = await statfs(fresh);
    const plain = limited(await openCompressed(tar), Math.max(0, bavail * bsize - reserveBytes));
    const source = Readable.from(plain, { objectMode: false, highWaterMark: 256 << 10 });
    const options = { keepTypes: false, owner: undefined, whole: true };
    try {
      await files.extract({ kind: "directory", path: fresh }, "/", source, options, signal);
    } finally {
      source.destroy();
    }
    await failpoint("volume.import.unpacked");
    await adopt({ name, labels }, fresh);
    await failpoint("volume.import.adopted");
  } catch (error) {
    await trees.remove(fresh);
    throw nameFailure(error, `import ${name}`);
  }
  publish("import", name, {});
  await using held = await use(name);
  return renderVolume(held.record, undefined, held.data);
}

async function refuseExisting(room: HistoryRoom, name: string): Promise<void> {
  try {
    await using _held = await room.deps.use(name);
  } catch (error) {
    if (isEngineError(error, "NotFound")) return;
    throw error;
  }
  throw new EngineError("Conflict", `import ${name}: there is a volume of that name already`);
}

/** A bomb ends before the disk is full: others need it as well. */
async function* limited(chunks: AsyncIterable<Uint8Array>, maxBytes: number): AsyncGenerator<Uint8Array> {
  let bytes = 0;
  for await (const chunk of chunks) {
    bytes += chunk.length;
    if (bytes > maxBytes)
      throw new EngineError(
        "Unavailable",
        `no space left on device: it is larger than the ${maxBytes} bytes that are free beyond a reserve of ${reserveBytes}`,
      );
    yield chunk;
  }
}
