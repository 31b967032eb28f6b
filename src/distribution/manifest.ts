// Manifests of one repository at one endpoint: fetched with their type and digest checked, described, stored, deleted.
// Invariant: what is handed out is what its media type says (CVE-2021-41190), and what its digest says when one was asked for.

import { type Digest, digestOf, parseDigest } from "../base/digest.ts";
import { isEngineError } from "../base/errors.ts";
import { familiarRepository, type Named, renderFamiliar, withTag } from "../base/reference.ts";
import { parseDocument } from "../spec/oci/parse.ts";
import { maxDocumentBytes, parseJson } from "../spec/parse-json.ts";
import { discard, readWhole } from "./body.ts";
import { urlOf } from "./endpoint.ts";
import { refused, RegistryError } from "./errors.ts";
import type { FetchedManifest } from "./index.ts";
import { inRequest } from "./network-errors.ts";
import { missingPassword, type Session } from "./session.ts";
import { type Answer, headerOf } from "./transport.ts";

const ociIndex = "application/vnd.oci.image.index.v1+json";
const ociManifest = "application/vnd.oci.image.manifest.v1+json";
const dockerList = "application/vnd.docker.distribution.manifest.list.v2+json";
const dockerManifest = "application/vnd.docker.distribution.manifest.v2+json";
const kindOfType: Readonly<Record<string, "index" | "manifest">> = {
  [ociIndex]: "index",
  [dockerList]: "index",
  [ociManifest]: "manifest",
  [dockerManifest]: "manifest",
};
/** Types that say nothing of the document: registries and proxies that do not know better. */
const vagueTypes = new Set([
  "",
  "text/plain",
  "application/json",
  "application/octet-stream",
  "binary/octet-stream",
  "text/html",
]);
const schema1Types = new Set([
  "application/vnd.docker.distribution.manifest.v1+json",
  "application/vnd.docker.distribution.manifest.v1+prettyjws",
]);
const accept = [dockerManifest, dockerList, ociIndex, ociManifest].join(", ");

/** A descriptor as HEAD gives it. */
export interface ManifestHead {
  readonly digest: Digest;
  readonly mediaType: string;
  readonly sizeBytes: number;
}

/** The reference of a request, checked. @throws InvalidParameter neither tag nor digest */
export function parseManifestReference(named: Named, reference: string): Named {
  return reference.includes(":")
    ? { ...named, tag: undefined, digest: parseDigest(reference) }
    : withTag(named, reference);
}

/** Rights that a request for a repository needs. */
export function scopeOf(path: string, ...actions: readonly string[]): string {
  return `repository:${path}:${actions.join(",")}`;
}

/**
 * dockerd's words for what a registry answers when an image is asked for. As there, a bare code without words stays as it is,
 * and a denial with words counts as not found: who may not see an image is not told that there is one.
 */
export function translatePullError(error: unknown, named: Named): unknown {
  if (!(error instanceof RegistryError)) return error;
  const { code, firstText } = error;
  switch (firstText.includes(": ") ? (code ?? "") : "") {
    case "DENIED":
      return error.restated(
        `pull access denied for ${familiarRepository(named)}, repository does not exist or may require 'docker login': ${firstText}`,
        "NotFound",
      );
    case "MANIFEST_UNKNOWN":
      return error.restated(`manifest for ${renderFamiliar(named)} not found: ${firstText}`, "NotFound");
    case "NAME_UNKNOWN":
      return error.restated(`repository ${familiarRepository(named)} not found: ${firstText}`, "NotFound");
    default:
      return error.message === firstText ? error : error.restated(firstText);
  }
}

function contentType(answer: Answer): string {
  return (headerOf(answer, "content-type").split(";", 1)[0] ?? "").trim().toLowerCase();
}

function servedDigest(answer: Answer): Digest | undefined {
  const text = headerOf(answer, "docker-content-digest").trim();
  return text === "" ? undefined : parseDigest(text);
}

function isSchema1(bytes: Uint8Array): boolean {
  const document = parseJson(bytes, "manifest");
  return (
    typeof document === "object" && document !== null && "schemaVersion" in document && document.schemaVersion === 1
  );
}

function mediaTypeOfDocument(bytes: Uint8Array): string | undefined {
  const document = parseJson(bytes, "manifest") as { readonly mediaType?: unknown } | null;
  return typeof document?.mediaType === "string" ? document.mediaType : undefined;
}

/**
 * The one media type of a document that its header and its content agree upon.
 *
 * @param served Content-Type of the answer, without parameters
 * @throws InvalidParameter no image manifest or index, schema 1, or header and document contradict each other
 */
export function resolveMediaType(bytes: Uint8Array, served: string, named: Named): string {
  if (schema1Types.has(served) || isSchema1(bytes)) throw schema1Refusal(named);
  if (!vagueTypes.has(served) && kindOfType[served] === undefined)
    throw refused(`${renderFamiliar(named)}: unsupported manifest media type ${JSON.stringify(served.slice(0, 120))}`);
  const document = parseDocument(bytes);
  const own = mediaTypeOfDocument(bytes);
  const kind = kindOfType[served];
  if (kind !== undefined && (kind !== document.kind || (own !== undefined && own !== served)))
    throw refused(
      `${renderFamiliar(named)}: the registry sent ${own ?? `an ${document.kind}`} as ${served}; it cannot be both`,
    );
  if (kind !== undefined) return served;
  if (own !== undefined) return own;
  return document.kind === "index" ? ociIndex : ociManifest;
}

function schema1Refusal(named: Named): RegistryError {
  return new RegistryError(
    "InvalidParameter",
    `Docker Image Format v1 and Docker Image manifest version 2, schema 1 support has been removed: ask the author of ${renderFamiliar(named)} to publish it as an OCI image`,
  );
}

/** dockerd tells which manifest it had no password for. */
function namingRequest(method: string, url: URL): (error: unknown) => never {
  return (error) => {
    if (!(error instanceof RegistryError) || error.message !== missingPassword) throw error;
    throw error.restated(inRequest(method, url, missingPassword));
  };
}

/** Fetches a manifest or index. @throws as Repository.manifest */
export async function fetchManifest(
  session: Session,
  named: Named,
  reference: string,
  scopes: readonly string[],
  signal: AbortSignal,
): Promise<FetchedManifest> {
  const asked = parseManifestReference(named, reference);
  const target = `${named.path}/manifests/${reference}`;
  const answer = await session
    .expect([200], { method: "GET", target, headers: { accept }, scopes }, signal)
    .catch(namingRequest("GET", urlOf(session.endpoint, target)));
  const bytes = await readWhole(answer, maxDocumentBytes, session.stallMs);
  const digest = digestOf(bytes);
  // A header that is no digest at all does no harm when the digest was asked for, and is refused otherwise.
  const claimed = asked.digest ?? servedDigest(answer) ?? digest;
  if (claimed !== digest)
    throw refused(`${renderFamiliar(asked)}: manifest verification failed for digest ${claimed}: it is ${digest}`);
  return { bytes, mediaType: resolveMediaType(bytes, contentType(answer), asked), digest };
}

/** As Repository.headManifest. */
export async function headManifest(
  session: Session,
  named: Named,
  reference: string,
  scopes: readonly string[],
  signal: AbortSignal,
): Promise<ManifestHead | undefined> {
  const asked = parseManifestReference(named, reference);
  const target = `${named.path}/manifests/${reference}`;
  const answer = await session
    .request({ method: "HEAD", target, headers: { accept }, scopes }, signal)
    .catch(namingRequest("HEAD", urlOf(session.endpoint, target)));
  discard(answer);
  if (answer.status === 404) return undefined;
  if (answer.status === 200) {
    const mediaType = contentType(answer);
    const length = headerOf(answer, "content-length");
    const digest = headerOf(answer, "docker-content-digest").trim();
    if (kindOfType[mediaType] !== undefined && /^\d{1,15}$/.test(length) && /^sha256:[0-9a-f]{64}$/.test(digest)) {
      if (asked.digest !== undefined && asked.digest !== digest)
        throw refused(
          `${renderFamiliar(asked)}: manifest verification failed for digest ${asked.digest}: it is ${digest}`,
        );
      return { digest: parseDigest(digest), mediaType, sizeBytes: Number(length) };
    }
  }
  // Also for errors: the answer to HEAD has no words.
  try {
    const { bytes, mediaType, digest } = await fetchManifest(session, named, reference, scopes, signal);
    return { digest, mediaType, sizeBytes: bytes.length };
  } catch (error) {
    if (isEngineError(error, "NotFound")) return undefined;
    throw error;
  }
}

/** As Repository.putManifest. */
export async function putManifest(
  session: Session,
  named: Named,
  reference: string,
  document: { readonly bytes: Uint8Array; readonly mediaType: string },
  signal: AbortSignal,
): Promise<Digest> {
  parseManifestReference(named, reference);
  const { bytes, mediaType } = document;
  const answer = await session.expect(
    [200, 201, 202],
    {
      method: "PUT",
      target: `${named.path}/manifests/${reference}`,
      headers: { "content-type": mediaType },
      body: bytes,
      scopes: [scopeOf(named.path, "pull", "push")],
      patience: 4,
    },
    signal,
  );
  discard(answer);
  const digest = digestOf(bytes);
  const stored = servedDigest(answer) ?? digest;
  if (stored !== digest) throw refused(`the registry stored ${stored} in place of ${digest}`);
  return digest;
}

/** As Repository.deleteManifest. */
export async function deleteManifest(
  session: Session,
  named: Named,
  digest: Digest,
  signal: AbortSignal,
): Promise<void> {
  const target = `${named.path}/manifests/${parseDigest(digest)}`;
  const scopes = [scopeOf(named.path, "pull", "push", "delete")];
  discard(await session.expect([200, 202, 204], { method: "DELETE", target, scopes }, signal));
}
