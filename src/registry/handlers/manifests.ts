// Manifests: GET and HEAD by tag and digest, PUT, DELETE. The bytes that came are the bytes that go.
// Source: OCI Distribution 1.1, "Pulling manifests", "Pushing manifests", "Deleting manifests".

import { digestOf } from "../../base/digest.ts";
import { maxDocumentBytes } from "../../spec/parse-json.ts";
import { RegistryError } from "../errors.ts";
import { receiveAll } from "../http/body.ts";
import type { Exchange } from "../http/exchange.ts";
import { accepts, parseManifestDocument } from "../manifest-document.ts";
import { type ManifestReference, parseManifestReference } from "../names.ts";
import type { StoredManifest } from "../storage/index.ts";
import { nowMs, type Service } from "./service.ts";

function manifestUnknown(reference: ManifestReference): RegistryError {
  return new RegistryError("MANIFEST_UNKNOWN", "manifest unknown", {
    detail: { reference: reference.tag ?? reference.digest },
  });
}

async function find(
  service: Service,
  repository: string,
  reference: ManifestReference,
  signal: AbortSignal,
): Promise<StoredManifest> {
  const { records } = service.storage;
  if (service.mirror !== undefined) {
    const mirrored = await service.mirror.manifest(repository, reference, signal);
    if (mirrored === undefined) throw manifestUnknown(reference);
    return mirrored;
  }
  const digest = reference.digest ?? records.tag(repository, reference.tag)?.digest;
  const manifest = digest === undefined ? undefined : records.manifest(repository, digest);
  if (manifest === undefined) throw manifestUnknown(reference);
  return manifest;
}

/** GET and HEAD /v2/<name>/manifests/<reference> */
export async function getManifest(
  service: Service,
  exchange: Exchange,
  repository: string,
  text: string,
): Promise<void> {
  const reference = parseManifestReference(text);
  const { bytes, digest, mediaType } = await find(service, repository, reference, exchange.signal);
  // A digest names the bytes, and with them the type.
  if (reference.tag !== undefined && !accepts(exchange.header("accept"), mediaType))
    throw new RegistryError("MANIFEST_UNKNOWN", `the manifest is ${mediaType}, which the Accept header does not take`);
  const etag = `"${digest}"`;
  const headers = { "Content-Type": mediaType, "Docker-Content-Digest": digest, ETag: etag };
  if (exchange.header("if-none-match")?.includes(etag)) exchange.sendEmpty(304, headers);
  else exchange.send(200, bytes, headers);
}

/** PUT /v2/<name>/manifests/<reference> */
export async function putManifest(
  service: Service,
  exchange: Exchange,
  repository: string,
  text: string,
): Promise<void> {
  const reference = parseManifestReference(text);
  if ((exchange.contentLength ?? 0) > maxDocumentBytes)
    throw new RegistryError("SIZE_INVALID", `manifests of more than ${maxDocumentBytes} bytes are not taken`, {
      status: 413,
    });
  const bytes = await receiveAll(exchange.body(), maxDocumentBytes);
  const digest = digestOf(bytes);
  if (reference.digest !== undefined && reference.digest !== digest)
    throw new RegistryError("DIGEST_INVALID", `the manifest that came has the digest ${digest}`);
  const document = parseManifestDocument(bytes, exchange.header("content-type"));
  service.storage.records.putManifest(repository, document, bytes, reference.tag, nowMs());
  exchange.sendEmpty(201, {
    Location: `/v2/${repository}/manifests/${digest}`,
    "Docker-Content-Digest": digest,
    ...(document.subject === undefined ? {} : { "OCI-Subject": document.subject }),
  });
}

/** DELETE /v2/<name>/manifests/<reference>: by digest the manifest with its tags, by tag only the tag. */
export function deleteManifest(service: Service, exchange: Exchange, repository: string, text: string): void {
  const reference = parseManifestReference(text);
  const { records } = service.storage;
  const deleted =
    reference.tag === undefined
      ? records.deleteManifest(repository, reference.digest)
      : records.deleteTag(repository, reference.tag);
  if (!deleted) throw manifestUnknown(reference);
  exchange.sendEmpty(202);
}
