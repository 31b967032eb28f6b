// Uploads of blobs: in one request, in one stream, in chunks; taking over a blob from another repository.
// Source: OCI Distribution 1.1, "Pushing blobs", "Mounting a blob from another repository", "Canceling a blob upload".

import { errnoOf } from "../../base/errors.ts";
import { RegistryError } from "../errors.ts";
import type { Exchange } from "../http/exchange.ts";
import { parseChunkRange } from "../http/ranges.ts";
import { parseBlobDigest, parseRepository } from "../names.ts";
import type { Upload } from "../storage/index.ts";
import { nowMs, type Service } from "./service.ts";

// Smaller chunks are taken as well: this is advice.
const chunkMinBytes = 64 << 10;

function stateHeaders(repository: string, upload: Upload): Record<string, string> {
  return {
    Location: `/v2/${repository}/blobs/uploads/${upload.id}`,
    "Docker-Upload-UUID": upload.id,
    Range: `0-${Math.max(0, upload.offset - 1)}`,
  };
}

function sendCreated(exchange: Exchange, repository: string, digest: string): void {
  exchange.sendEmpty(201, { Location: `/v2/${repository}/blobs/${digest}`, "Docker-Content-Digest": digest });
}

/** Appends the request's body at the end of the upload, as its headers say. */
async function append(service: Service, exchange: Exchange, repository: string, upload: Upload): Promise<void> {
  const { maxUploadBytes } = service.policy;
  const length = exchange.contentLength;
  const before = upload.offset;
  const range = parseChunkRange(exchange.header("content-range"), length);
  if (range !== undefined && range.first !== before)
    throw new RegistryError("RANGE_INVALID", `the upload goes on at ${before}, not at ${range.first}`, {
      headers: stateHeaders(repository, upload),
    });
  const tooLarge = (): RegistryError =>
    new RegistryError("SIZE_INVALID", `blobs of more than ${maxUploadBytes} bytes are not taken here`, { status: 413 });
  if (before + (length ?? 0) > maxUploadBytes) throw tooLarge();
  try {
    await upload.append(exchange.body(), maxUploadBytes, tooLarge, length);
  } catch (error) {
    // What a broken connection brought stays, so that the client can go on; a refused body leaves nothing.
    if (error instanceof RegistryError) await upload.truncate(before);
    throw error;
  }
  const sent = upload.offset - before;
  if (range !== undefined && sent !== range.last - range.first + 1) {
    await upload.truncate(before);
    throw new RegistryError(
      "SIZE_INVALID",
      `Content-Range speaks of ${range.last - range.first + 1} bytes, ${sent} came`,
    );
  }
}

/** Runs `work` with the upload held; a full or failing disk ends the upload: it must not keep the disk full. */
async function withUpload(
  service: Service,
  exchange: Exchange,
  repository: string,
  id: string,
  work: (upload: Upload) => Promise<void>,
): Promise<void> {
  const { uploads } = service.storage;
  using held = await uploads.hold(repository, id, () => exchange.request.destroy());
  try {
    await work(held.upload);
  } catch (error) {
    if (isDiskFull(error) || errnoOf(error) === "EIO") await uploads.remove(held.upload);
    throw error;
  }
}

/** True for a full disk or quota, of the file system or seen by SQLite. */
export function isDiskFull(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  const { code, errcode } = error as { code?: unknown; errcode?: unknown };
  return code === "ENOSPC" || code === "EDQUOT" || (code === "ERR_SQLITE_ERROR" && errcode === 13);
}

/** True when the blob was given to the repository without an upload. */
async function mount(service: Service, exchange: Exchange, repository: string): Promise<boolean> {
  const [digestText, from] = [exchange.query.get("mount"), exchange.query.get("from")];
  if (digestText === null || from === null) return false;
  const digest = parseBlobDigest(digestText);
  const source = parseRepository(from);
  const { storage } = service;
  if (!exchange.identity.may({ repository: source, right: "pull" })) return false;
  if ((await storage.blobSize(source, digest)) === undefined) return false;
  if (!storage.records.linkBlob(repository, digest, nowMs())) return false;
  sendCreated(exchange, repository, digest);
  return true;
}

/** POST /v2/<name>/blobs/uploads/ */
export async function startUpload(service: Service, exchange: Exchange, repository: string): Promise<void> {
  if (await mount(service, exchange, repository)) return;
  const digestText = exchange.query.get("digest");
  const digest = digestText === null ? undefined : parseBlobDigest(digestText);
  const { uploads } = service.storage;
  const { id } = await uploads.create(repository);
  await withUpload(service, exchange, repository, id, async (upload) => {
    if (digest === undefined) {
      exchange.sendEmpty(202, { ...stateHeaders(repository, upload), "OCI-Chunk-Min-Length": chunkMinBytes });
      return;
    }
    try {
      await append(service, exchange, repository, upload);
      exchange.expectSilence();
      await service.storage.finishUpload(repository, upload, digest);
    } catch (error) {
      await uploads.remove(upload);
      throw error;
    }
    sendCreated(exchange, repository, digest);
  });
}

/** GET /v2/<name>/blobs/uploads/<id> */
export async function getUpload(service: Service, exchange: Exchange, repository: string, id: string): Promise<void> {
  const upload = await service.storage.uploads.find(repository, id);
  exchange.sendEmpty(204, stateHeaders(repository, upload));
}

/** PATCH /v2/<name>/blobs/uploads/<id> */
export function patchUpload(service: Service, exchange: Exchange, repository: string, id: string): Promise<void> {
  return withUpload(service, exchange, repository, id, async (upload) => {
    await append(service, exchange, repository, upload);
    exchange.sendEmpty(202, { ...stateHeaders(repository, upload), "OCI-Chunk-Min-Length": chunkMinBytes });
  });
}

/** PUT /v2/<name>/blobs/uploads/<id>?digest=…, with the last bytes or without. */
export function putUpload(service: Service, exchange: Exchange, repository: string, id: string): Promise<void> {
  return withUpload(service, exchange, repository, id, async (upload) => {
    const digest = parseBlobDigest(exchange.query.get("digest") ?? "");
    await append(service, exchange, repository, upload);
    exchange.expectSilence();
    await service.storage.finishUpload(repository, upload, digest);
    sendCreated(exchange, repository, digest);
  });
}

/** DELETE /v2/<name>/blobs/uploads/<id> */
export function cancelUpload(service: Service, exchange: Exchange, repository: string, id: string): Promise<void> {
  return withUpload(service, exchange, repository, id, async (upload) => {
    await service.storage.uploads.remove(upload);
    exchange.sendEmpty(204);
  });
}
