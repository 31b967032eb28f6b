// OCI layouts of this machine as content stores: the daemon reads images and caches from them and writes caches and images to them.
// Blobs are named by their digests and checked before they are there. Source: containerd's content service; OCI image-layout.

import { createHash, randomBytes } from "node:crypto";
import { mkdirSync, renameSync, rmdirSync, rmSync, statSync } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { join } from "node:path";
import {
  type Call,
  codes,
  firstValue,
  GrpcError,
  implement,
  type Implementation,
  type MessageInit,
  type MessageOf,
} from "../../grpc/index.ts";
import {
  Content,
  type ReadContentResponse,
  type WriteContentRequest,
  type WriteContentResponse,
  writeActions,
} from "../../spec/buildkit/content.ts";

const maxChunkBytes = 1 << 20;
const digestForm = /^sha256:([0-9a-f]{64})$/;
/** Those that are answered. */
export const contentMethods = [Content.methods.Info, Content.methods.Read, Content.methods.Write] as const;
const storeIdKey = "buildkit-attachable-store-id";

type WriteIn = MessageOf<typeof WriteContentRequest>;
type WriteOut = MessageInit<typeof WriteContentResponse>;

/** @param stores directory of each store, by the id under which the daemon asks for it */
export function contentService(stores: ReadonlyMap<string, string>): Implementation {
  const storeOf = (call: Call): string => {
    const id = firstValue(call.metadata, storeIdKey) ?? "";
    const directory = stores.get(id);
    if (directory === undefined) throw new GrpcError(codes.notFound, `unknown store ${id}`);
    return directory;
  };
  return implement(Content, {
    // oxlint-disable-next-line typescript/require-await -- handlers answer later
    async Info({ digest }, call) {
      return { info: { digest, size: sizeOf(storeOf(call), digest) } };
    },
    Read: ({ digest, offset, size }, call) => readBlob(storeOf(call), digest, offset, size),
    Write: (requests, call) => writeBlob(storeOf(call), requests),
  });
}

function pathOf(store: string, digest: string): string {
  const hex = digestForm.exec(digest)?.[1];
  if (hex === undefined) throw new GrpcError(codes.invalidArgument, `invalid digest ${JSON.stringify(digest)}`);
  return join(store, "blobs", "sha256", hex);
}

/** @throws GrpcError notFound */
function sizeOf(store: string, digest: string): number {
  const stat = statSync(pathOf(store, digest), { throwIfNoEntry: false });
  if (stat?.isFile() !== true) throw new GrpcError(codes.notFound, `content ${digest}: not found`);
  return stat.size;
}

/** @param size 0 is all that follows the offset */
async function* readBlob(
  store: string,
  digest: string,
  offset: number,
  size: number,
): AsyncGenerator<MessageInit<typeof ReadContentResponse>> {
  const total = sizeOf(store, digest);
  if (offset > total) throw new GrpcError(codes.outOfRange, `read past object length ${total} bytes`);
  const end = size === 0 ? total : Math.min(total, offset + size);
  await using file = await open(pathOf(store, digest), "r");
  for (let at = offset; at < end; ) {
    const { bytesRead, buffer } = await file.read({
      buffer: Buffer.allocUnsafe(Math.min(maxChunkBytes, end - at)),
      position: at,
    });
    if (bytesRead === 0) throw new GrpcError(codes.dataLoss, `content ${digest} became shorter`);
    yield { offset: at, data: buffer.subarray(0, bytesRead) };
    at += bytesRead;
  }
}

/** One blob: into a file beside the blobs, which becomes one when its digest is right. */
async function* writeBlob(store: string, requests: AsyncIterable<WriteIn>): AsyncGenerator<WriteOut> {
  const directory = join(store, "ingest");
  const path = join(directory, randomBytes(12).toString("hex"));
  let file: FileHandle | undefined;
  let written = 0;
  let hash = createHash("sha256");
  try {
    for await (const { action, expected, total, offset, data } of requests) {
      if (expected !== "" && file === undefined && isThere(store, expected))
        throw new GrpcError(codes.alreadyExists, `content ${expected}: already exists`);
      if (file === undefined) {
        mkdirSync(directory, { recursive: true });
        file = await open(path, "wx", 0o644);
      }
      // A write of nothing at the beginning: containerd's way to begin anew.
      if (action === writeActions.write && offset === 0 && written > 0 && data.length === 0) {
        await file.truncate(0);
        written = 0;
        hash = createHash("sha256");
      }
      if (data.length > 0) {
        if (offset !== written)
          throw new GrpcError(codes.outOfRange, `the write begins at ${offset}, but ${written} bytes are there`);
        for (let done = 0; done < data.length; )
          done += (await file.write(data, done, data.length - done, written + done)).bytesWritten;
        hash.update(data);
        written += data.length;
      }
      const digest = `sha256:${hash.copy().digest("hex")}`;
      if (action === writeActions.commit) {
        if ((total > 0 && total !== written) || (expected !== "" && expected !== digest))
          throw new GrpcError(
            codes.failedPrecondition,
            `unexpected commit of ${written} bytes with the digest ${digest}: expected ${expected}, ${total} bytes`,
          );
        await file.close();
        mkdirSync(join(store, "blobs", "sha256"), { recursive: true });
        renameSync(path, pathOf(store, digest));
      }
      yield { action, offset: written, total, digest: action === writeActions.commit ? digest : "" };
      if (action === writeActions.commit) return;
    }
  } finally {
    await file?.close().catch(() => {});
    rmSync(path, { force: true });
    removeEmpty(directory);
  }
}

/** Others may be writing there. */
function removeEmpty(directory: string): void {
  try {
    rmdirSync(directory);
  } catch {
    // It is not empty, or was never made.
  }
}

function isThere(store: string, digest: string): boolean {
  return statSync(pathOf(store, digest), { throwIfNoEntry: false })?.isFile() === true;
}
