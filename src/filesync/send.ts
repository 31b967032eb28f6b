// The sending end: tells a tree, and sends what is asked for, several files at once.

import { closeSync, constants, openSync, readFileSync } from "node:fs";
import { open } from "node:fs/promises";
import { EngineError, messageOf } from "../base/errors.ts";
import { packetTypes } from "../spec/buildkit/fsutil.ts";
import { renderGoMode } from "./file-mode.ts";
import type { PacketStream, TreeEntry } from "./index.ts";

const maxReaders = 4;
const chunkBytes = 256 * 1024;
const readOnly = constants.O_RDONLY | constants.O_NOFOLLOW;

/**
 * Sends the tree below `root`; resolves when the receiver has taken leave.
 *
 * @param entries in walk order; paths of files are read below `root`
 * @param progress bytes of content so far
 * @throws InvalidParameter the receiver breaks the protocol
 * @throws Unavailable      it ended early
 * @throws System           it says that it cannot go on, or a file cannot be read
 */
export async function sendTree(
  stream: PacketStream,
  root: string,
  entries: AsyncIterable<TreeEntry>,
  progress: (bytes: number) => void,
): Promise<void> {
  const files: ({ readonly path: string; readonly size: number } | undefined)[] = [];
  const queue: number[] = [];
  const failure = Promise.withResolvers<never>();
  failure.promise.catch(() => {});
  let readers = 0;
  let sentBytes = 0;
  let isOver = false;

  async function tell(): Promise<void> {
    for await (const entry of entries) {
      files.push(entry.type === "file" && entry.linkName === "" ? entry : undefined);
      if (!(await stream.send({ type: packetTypes.stat, stat: statOf(entry) }))) return;
    }
    await stream.send({ type: packetTypes.stat });
  }
  async function sendFile(id: number): Promise<void> {
    const entry = files[id];
    if (entry === undefined)
      throw new EngineError(
        "InvalidParameter",
        `the receiver of files breaks the protocol: no file has the index ${id}`,
      );
    files[id] = undefined;
    const chunks =
      entry.size < chunkBytes ? [readSmallFile(`${root}/${entry.path}`)] : chunksOf(`${root}/${entry.path}`);
    for await (const data of chunks) {
      if (data.length === 0) continue;
      sentBytes += data.length;
      progress(sentBytes);
      if (!(await stream.send({ type: packetTypes.data, ID: id, data }))) return;
    }
    await stream.send({ type: packetTypes.data, ID: id });
  }
  async function work(): Promise<void> {
    readers++;
    try {
      for (let id = queue.shift(); id !== undefined; id = queue.shift()) await sendFile(id);
    } finally {
      readers--;
    }
  }
  async function listen(): Promise<void> {
    for await (const packet of stream.packets) {
      if (packet.type === packetTypes.request) {
        queue.push(packet.ID);
        if (readers < maxReaders) work().catch(failure.reject);
      } else if (packet.type === packetTypes.fin) {
        isOver = true;
        await stream.send({ type: packetTypes.fin });
        return;
      } else if (packet.type === packetTypes.error)
        throw new EngineError("System", Buffer.from(packet.data).toString("utf8").slice(0, 4096));
      else throw new EngineError("InvalidParameter", `the receiver of files breaks the protocol: type ${packet.type}`);
    }
    throw new EngineError("Unavailable", "the receiver of files left in the middle of a transfer");
  }
  tell().catch(failure.reject);
  try {
    await Promise.race([listen(), failure.promise]);
  } catch (error) {
    if (!isOver) await stream.send({ type: packetTypes.error, data: Buffer.from(messageOf(error)) }).catch(() => {});
    throw error;
  }
}

/** At once: trips to the thread pool cost more than the calls. */
function readSmallFile(path: string): Buffer {
  const file = openSync(path, readOnly);
  try {
    return readFileSync(file);
  } finally {
    closeSync(file);
  }
}

async function* chunksOf(path: string): AsyncGenerator<Buffer> {
  await using file = await open(path, readOnly);
  for (;;) {
    const { bytesRead, buffer } = await file.read(Buffer.allocUnsafe(chunkBytes), 0, chunkBytes);
    if (bytesRead === 0) return;
    yield buffer.subarray(0, bytesRead);
  }
}

function statOf(entry: TreeEntry) {
  return {
    path: entry.path,
    mode: renderGoMode(entry.type, entry.mode),
    uid: entry.uid,
    gid: entry.gid,
    size: entry.size,
    modTime: entry.mtimeNs,
    linkname: entry.linkName,
    devmajor: entry.device?.major ?? 0,
    devminor: entry.device?.minor ?? 0,
    xattrs: new Map(Object.entries(entry.xattrs)),
  };
}
