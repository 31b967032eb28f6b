// Blobs: GET and HEAD with ranges, DELETE. Source: OCI Distribution 1.1, "Pulling blobs", "Deleting blobs".

import { Readable } from "node:stream";
import type { Digest } from "../../base/digest.ts";
import { errnoOf } from "../../base/errors.ts";
import { RegistryError } from "../errors.ts";
import type { Exchange } from "../http/exchange.ts";
import { allowsRange, type ByteRange, parseRange } from "../http/ranges.ts";
import { parseBlobDigest } from "../names.ts";
import { nowMs, type Service } from "./service.ts";

type Headers = Readonly<Record<string, string | number>>;

/** A blob that can be sent. */
interface Source {
  readonly sizeBytes: number;
  send(exchange: Exchange, status: number, headers: Headers, range: ByteRange): Promise<void>;
  close(): Promise<void>;
}

function blobUnknown(digest: Digest): RegistryError {
  return new RegistryError("BLOB_UNKNOWN", "the repository has no such blob", { detail: { digest } });
}

async function localSource(service: Service, repository: string, digest: Digest): Promise<Source | undefined> {
  const { storage } = service;
  const sizeBytes = await storage.blobSize(repository, digest);
  if (sizeBytes === undefined) return undefined;
  try {
    const file = await storage.files.open(digest);
    return {
      sizeBytes,
      send: (exchange, status, headers, range) => exchange.sendFile(status, headers, file, range),
      close: () => file.close(),
    };
  } catch (error) {
    // Collected in between.
    if (errnoOf(error) === "ENOENT") return undefined;
    throw error;
  }
}

async function findSource(service: Service, exchange: Exchange, repository: string, digest: Digest): Promise<Source> {
  const local = await localSource(service, repository, digest);
  if (local !== undefined) return local;
  const mirrored = await service.mirror?.blob(repository, digest, exchange.isHead, exchange.signal);
  if (mirrored === undefined) throw blobUnknown(digest);
  return {
    sizeBytes: mirrored.sizeBytes,
    send: (to, status, headers, range) =>
      to.sendStream(status, headers, () => Readable.from(mirrored.chunks(range), { objectMode: false })),
    close: async () => undefined,
  };
}

/** GET and HEAD /v2/<name>/blobs/<digest> */
export async function getBlob(service: Service, exchange: Exchange, repository: string, text: string): Promise<void> {
  const digest = parseBlobDigest(text);
  const source = await findSource(service, exchange, repository, digest);
  try {
    if (service.mirror === undefined && exchange.isHead) {
      // A client that is about to push asks so, and relies on the answer.
      const now = nowMs();
      service.storage.records.refreshBlob(repository, digest, now, now - service.policy.graceMs / 4);
    }
    const etag = `"${digest}"`;
    const headers = {
      "Accept-Ranges": "bytes",
      "Cache-Control": "private, max-age=31536000, immutable",
      "Content-Type": "application/octet-stream",
      "Docker-Content-Digest": digest,
      ETag: etag,
    };
    if (exchange.header("if-none-match")?.includes(etag)) {
      exchange.sendEmpty(304, headers);
      return;
    }
    const { sizeBytes } = source;
    const wanted = exchange.header("range");
    const range = allowsRange(exchange.header("if-range"), etag) ? parseRange(wanted, sizeBytes) : undefined;
    if (range === undefined && sizeBytes === 0) {
      exchange.send(200, "", headers);
      return;
    }
    const { first, last } = range ?? { first: 0, last: sizeBytes - 1 };
    await source.send(
      exchange,
      range === undefined ? 200 : 206,
      {
        ...headers,
        "Content-Length": last - first + 1,
        ...(range === undefined ? {} : { "Content-Range": `bytes ${first}-${last}/${sizeBytes}` }),
      },
      { first, last },
    );
  } finally {
    await source.close();
  }
}

/** DELETE /v2/<name>/blobs/<digest>: the repository loses it; the bytes go with the next collection. */
export function deleteBlob(service: Service, exchange: Exchange, repository: string, text: string): void {
  const digest = parseBlobDigest(text);
  if (!service.storage.records.unlinkBlob(repository, digest)) throw blobUnknown(digest);
  exchange.sendEmpty(202, { "Docker-Content-Digest": digest });
}
