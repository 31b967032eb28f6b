// Takes in the outer tar of an image archive in one pass: documents into memory (bounded), layers straight into gantry-unpack,
// although which image they belong to is known only at the end. Compressed blobs are kept beside, as ingests, until it is known
// whether a manifest wants them: what came compressed is pushed as it came.

import { type Hash, createHash } from "node:crypto";
import { type Digest, type DiffId, parseDiffId } from "../../base/digest.ts";
import { EngineError, isEngineError, messageOf } from "../../base/errors.ts";
import type { ContentStore, Ingest } from "../content/index.ts";
import type { Snapshotter, StagedLayer } from "../snapshots/index.ts";
import { ByteSource, unexpectedEnd } from "./byte-source.ts";
import { type Compression, decompress, detectCompression, magicLength, openCompressed } from "./compression.ts";
import { KeptBlobs, deleteIngest } from "./kept-blobs.ts";
import { maxDocumentBytes } from "../../spec/parse-json.ts";
import { type TarMember, isTarHeader, readTar } from "./tar-reader.ts";

/** A file of the archive, identified by its bytes. */
export interface ArchiveFile {
  readonly digest: Digest;
  readonly sizeBytes: number;
  /** Small enough to be a manifest or a config. */
  readonly document?: Uint8Array;
  /** A tar, compressed or not, unpacked. */
  readonly layer?: StagedLayer;
  /** Why it could not be unpacked; matters only if an image wants it. */
  readonly failure?: EngineError;
}

/** Everything that an archive holds, by path. */
export interface ArchiveContents {
  /** @param path as a manifest names it; links are followed @throws InvalidParameter a path out of the archive */
  file(path: string): ArchiveFile | undefined;
  blob(digest: Digest): ArchiveFile | undefined;
  /** Releases all layers, and deletes the blobs that were kept and have not become an image's. */
  release(): Promise<void>;
}

export interface ReadArchiveDeps {
  readonly snapshots: Snapshotter;
  readonly content: Pick<ContentStore, "ingest" | "has" | "isIngested">;
  /** Of one layer's files. */
  readonly maxLayerBytes: number;
  /** What a layer that could not be unpacked is said to have met. */
  failureOf(layer: string, error: unknown): unknown;
  /** Bytes of a layer that have come; `id` is what is known of it so far. */
  onProgress(id: string, current: number, total: number): void;
}

const maxMembers = 100_000;
const maxDocumentsBytes = 64 << 20;
const maxTrailingBytes = 16 << 20;
const blobPath = /^blobs\/sha256\/([0-9a-f]{64})$/;

/**
 * Reads the archive to its end.
 *
 * @throws InvalidParameter not an image archive, malformed, hostile, truncated; a blob whose name is not its digest
 * @throws NotImplemented   a compression that is not supported
 */
export async function readArchive(
  archive: AsyncIterable<Uint8Array>,
  deps: ReadArchiveDeps,
  signal: AbortSignal,
): Promise<ArchiveContents> {
  const source = new ByteSource(await openCompressed(archive));
  const contents = new Contents(deps);
  try {
    const start = await source.peek(512);
    if (start.length === 0) throw new EngineError("InvalidParameter", "the archive is empty");
    if (start.length < 512) throw unexpectedEnd();
    if (!isTarHeader(start)) throw new EngineError("InvalidParameter", "archive/tar: invalid tar header");
    let members = 0;
    for await (const member of readTar(source)) {
      signal.throwIfAborted();
      if (++members > maxMembers)
        throw new EngineError("InvalidParameter", `the archive has more than ${maxMembers} files`);
      await contents.take(member, signal);
    }
    await drain(source);
    return contents;
  } catch (error) {
    await contents.release();
    if (signal.aborted) throw new EngineError("Cancelled", "the load was cancelled", { cause: error });
    throw error;
  } finally {
    await source.close();
  }
}

/** Padding after the end of the tar: a client must be able to send it. */
async function drain(source: ByteSource): Promise<void> {
  let bytes = 0;
  for await (const chunk of source.rest()) {
    bytes += chunk.length;
    if (bytes > maxTrailingBytes)
      throw new EngineError("InvalidParameter", "too much data after the end of the archive");
  }
}

/** "./a//b/" → "a/b". @throws InvalidParameter for ".." that leads out */
function cleanPath(path: string): string {
  const parts: string[] = [];
  for (const part of path.split("/")) {
    if (part === "" || part === ".") continue;
    if (part !== "..") parts.push(part);
    else if (parts.pop() === undefined)
      throw new EngineError("InvalidParameter", `invalid path in the archive: ${JSON.stringify(path.slice(0, 200))}`);
  }
  return parts.join("/");
}

class Contents implements ArchiveContents {
  readonly #deps: ReadArchiveDeps;
  readonly #kept: KeptBlobs;
  readonly #files = new Map<string, ArchiveFile>();
  readonly #links = new Map<string, string>();
  readonly #blobs = new Map<Digest, ArchiveFile>();
  #documentsBytes = 0;

  constructor(deps: ReadArchiveDeps) {
    this.#deps = deps;
    this.#kept = new KeptBlobs(deps.content);
  }

  file(path: string): ArchiveFile | undefined {
    let clean = cleanPath(path);
    // Old docker save writes a repeated layer as a link to the first one.
    for (let hops = 0; hops < 16; hops++) {
      const target = this.#links.get(clean);
      if (target === undefined) return this.#files.get(clean);
      clean = target;
    }
    return undefined;
  }

  blob(digest: Digest): ArchiveFile | undefined {
    return this.#blobs.get(digest);
  }

  async release(): Promise<void> {
    for (const file of this.#files.values()) await file.layer?.release();
    this.#files.clear();
    this.#blobs.clear();
    await this.#kept.discard();
  }

  async take(member: TarMember, signal: AbortSignal): Promise<void> {
    const path = cleanPath(member.name);
    if (member.type === "hardlink") this.#links.set(path, cleanPath(member.linkName));
    if (member.type === "symlink" && !member.linkName.startsWith("/"))
      this.#links.set(path, cleanPath(`${path.split("/").slice(0, -1).join("/")}/${member.linkName}`));
    if (member.type !== "file") return;
    const file = await this.#read(path, member, signal);
    const claimed = blobPath.exec(path)?.[1];
    if (claimed !== undefined && file.digest !== `sha256:${claimed}`) {
      await file.layer?.release();
      throw new EngineError(
        "InvalidParameter",
        `blob sha256:${claimed} is corrupt: its content has the digest ${file.digest}`,
      );
    }
    await this.#files.get(path)?.layer?.release();
    this.#links.delete(path);
    this.#files.set(path, file);
    this.#blobs.set(file.digest, file);
  }

  async #read(path: string, member: TarMember, signal: AbortSignal): Promise<ArchiveFile> {
    const start = await member.peek(512);
    const compression = detectCompression(start.subarray(0, magicLength));
    const counted = countBytes(member, path, this.#deps);
    if (member.sizeBytes === 0 && !path.endsWith(".tar")) return this.#readDocument(member, counted);
    if (compression === "none" && !isTarHeader(start) && member.sizeBytes > 0)
      return this.#readDocument(member, counted);
    return readLayer(path, member, counted, compression, this.#deps, this.#kept, signal);
  }

  async #readDocument(member: TarMember, body: AsyncIterable<Uint8Array>): Promise<ArchiveFile> {
    const hash = createHash("sha256");
    const chunks: Uint8Array[] = [];
    const keep = member.sizeBytes <= maxDocumentBytes;
    if (keep) this.#documentsBytes += member.sizeBytes;
    if (this.#documentsBytes > maxDocumentsBytes)
      throw new EngineError("InvalidParameter", "the archive's documents are too large");
    for await (const chunk of body) {
      hash.update(chunk);
      if (keep) chunks.push(Uint8Array.from(chunk));
    }
    const digest = digestFrom(hash);
    if (keep) return { digest, sizeBytes: member.sizeBytes, document: Buffer.concat(chunks) };
    const failure = new EngineError(
      "InvalidParameter",
      `a document of ${member.sizeBytes} bytes: more than ${maxDocumentBytes} are refused`,
    );
    return { digest, sizeBytes: member.sizeBytes, failure };
  }
}

function digestFrom(hash: Hash): Digest {
  return `sha256:${hash.digest("hex")}` as Digest;
}

async function* countBytes(member: TarMember, path: string, deps: ReadArchiveDeps): AsyncGenerator<Uint8Array> {
  const id = blobPath.exec(path)?.[1]?.slice(0, 12);
  let current = 0;
  let told = 0;
  for await (const chunk of member.chunks()) {
    yield chunk;
    current += chunk.length;
    if (id === undefined || current - told < 4 << 20) continue;
    told = current;
    deps.onProgress(id, current, member.sizeBytes);
  }
}

async function readLayer(
  path: string,
  member: TarMember,
  body: AsyncIterable<Uint8Array>,
  compression: Compression,
  deps: ReadArchiveDeps,
  kept: KeptBlobs,
  signal: AbortSignal,
): Promise<ArchiveFile> {
  const { sizeBytes } = member;
  const stored = createHash("sha256");
  const hex = blobPath.exec(path)?.[1];
  const claimed: DiffId | undefined =
    compression === "none" && hex !== undefined ? parseDiffId(`sha256:${hex}`) : undefined;
  // A plain tar's own digest is its diff id; only a compressed one is hashed twice.
  const ingest = compression === "none" ? undefined : await kept.begin(hex, sizeBytes);
  const input = compression === "none" ? body : tee(body, stored, ingest);
  try {
    const tar = decompress(input, compression);
    const layer = await deps.snapshots.stage(tar, { claimed, maxBytes: deps.maxLayerBytes }, signal);
    try {
      if (ingest !== undefined) await kept.finish(ingest);
    } catch (error) {
      await layer.release();
      throw error;
    }
    deps.onProgress(layer.diffId.slice("sha256:".length, "sha256:".length + 12), sizeBytes, sizeBytes);
    return {
      digest: compression === "none" ? (layer.diffId as string as Digest) : digestFrom(stored),
      sizeBytes,
      layer,
    };
  } catch (error) {
    if (ingest !== undefined) await deleteIngest(ingest);
    const named = deps.failureOf(`layer ${path}`, error);
    const failure = isEngineError(named) ? named : new EngineError("System", messageOf(named), { cause: named });
    // What is no layer at all (an attestation, a chart) may be in an archive; limits, truncation and the system's own
    // failures end the load.
    if (failure.kind !== "InvalidParameter" && failure.kind !== "NotImplemented") throw failure;
    if (signal.aborted || claimed !== undefined || hex === undefined) throw failure;
    for await (const chunk of member.chunks()) stored.update(chunk);
    return { digest: digestFrom(stored), sizeBytes, failure };
  }
}

async function* tee(
  body: AsyncIterable<Uint8Array>,
  hash: Hash,
  ingest: Ingest | undefined,
): AsyncGenerator<Uint8Array> {
  for await (const chunk of body) {
    hash.update(chunk);
    await ingest?.write(chunk);
    yield chunk;
  }
}
