// A client's directories, by FileSync: what is kept from the last time is not sent again. And the way back: a tree that a build made,
// written into the client's output directory.

import { createHash } from "node:crypto";
import { isEngineError } from "../../../base/errors.ts";
import type { BidiCall, GrpcClient } from "../../../grpc/index.ts";
import { receiveTree, sendTree, walkTree, type PacketStream, type TreeEntry } from "../../../filesync/index.ts";
import { FileSendTree, FileSync } from "../../../spec/buildkit/session.ts";
import type { SyncOptions } from "../../build/client.ts";
import { directoryKey } from "../../build/sources/directories.ts";
import type { SourceDirectories, SourceDirectory } from "../../build/sources/index.ts";
import { renderValues } from "./metadata.ts";

/** How often a transfer tells how far it is. */
const progressEveryMs = 100;

/** @throws NotFound the client has no directory of that name */
export async function syncDirectory(
  client: GrpcClient,
  directories: SourceDirectories,
  sharedKey: string,
  name: string,
  options: SyncOptions,
  signal: AbortSignal,
): Promise<SourceDirectory> {
  const { includePatterns, excludePatterns, followPaths } = options;
  // Builds that ask for different parts of a directory would undo each other's tree.
  const part = createHash("sha256")
    .update(JSON.stringify([includePatterns, followPaths]))
    .digest("hex");
  const key = sharedKey === "" ? "" : directoryKey(sharedKey, name, part);
  await using transfer = await directories.begin(key, signal);
  const call = client.bidi(
    FileSync.methods.DiffCopy,
    {
      metadata: {
        ...renderValues("dir-name", [name]),
        ...renderValues("include-patterns", includePatterns),
        ...renderValues("exclude-patterns", excludePatterns),
        ...renderValues("followpaths", followPaths),
      },
    },
    signal,
  );
  let toldAt = performance.now();
  let [bytes, files] = [0, 0];
  try {
    await receiveTree(streamOf(call), transfer, asRoots, (nowBytes, nowFiles) => {
      [bytes, files] = [nowBytes, nowFiles];
      if (performance.now() - toldAt < progressEveryMs) return;
      toldAt = performance.now();
      options.progress(bytes, files);
    });
  } finally {
    call.end();
    call.cancel();
  }
  const directory = await transfer.finish();
  options.progress(bytes, files);
  return directory;
}

/** @param path a directory of this host */
export async function sendDirectory(
  client: GrpcClient,
  index: number,
  path: string,
  progress: (bytes: number) => void,
  signal: AbortSignal,
): Promise<void> {
  const call = client.bidi(
    FileSendTree.methods.DiffCopy,
    { metadata: { "buildkit-attachable-exporter-id": String(index) } },
    signal,
  );
  const everything = { includePatterns: [], excludePatterns: [], followPaths: [] };
  try {
    const stream = streamOf(call);
    const packets = call.responses[Symbol.asyncIterator]();
    await sendTree(
      { ...stream, packets: { [Symbol.asyncIterator]: () => ({ next: () => packets.next() }) } },
      path,
      walkTree(path, everything),
      progress,
    );
    call.end();
    // What is left is the client's verdict.
    while ((await packets.next()).done !== true);
  } finally {
    call.cancel();
  }
}

/** Sockets stay at home; everything else becomes root's. */
function asRoots(entry: TreeEntry): TreeEntry | undefined {
  return entry.type === "socket" ? undefined : { ...entry, uid: 0, gid: 0 };
}

function streamOf(call: BidiCall<typeof FileSync.methods.DiffCopy>): PacketStream {
  return { packets: call.responses, send: (packet) => call.send(packet) };
}

/** Whether a failed call says that the client has nothing of the kind. */
export function isAbsent(error: unknown): boolean {
  return isEngineError(error, "NotFound") || isEngineError(error, "NotImplemented");
}
