// Uploads of blobs: a session is opened (or a blob mounted in its place), bytes follow in PATCH requests, PUT closes it with the
// digest. One streamed PATCH carries everything, as dockerd does it; after a break, or where that is too much for the registry, pieces
// do. After a break the registry says how far it got; a session that it has lost begins anew.
// Source: OCI distribution-spec 1.1, "Pushing a blob in chunks"; distribution/distribution docs, "Upload Progress".

import { type Digest, parseDigest } from "../base/digest.ts";
import type { Named } from "../base/reference.ts";
import { pauseOrThrow, withRetries } from "./attempts.ts";
import { statBlob } from "./blob.ts";
import { discard } from "./body.ts";
import { refused, RegistryError } from "./errors.ts";
import type { DistributionConfig, Repository } from "./index.ts";
import { scopeOf } from "./manifest.ts";
import { parseLocation } from "./redirect.ts";
import type { Session } from "./session.ts";
import { type Answer, headerOf } from "./transport.ts";

type Blob = Parameters<Repository["uploadBlob"]>[0];

/** Pieces after a break. */
const pieceBytes = 16 << 20;
/** How many stall time-outs a registry may take to digest and store what it has got. */
const commitPatience = 10;

export interface UploadDeps {
  readonly session: Session;
  readonly named: Named;
  readonly config: DistributionConfig;
}

/** An open upload session at the registry. */
interface UploadSession {
  location: URL;
  /** Bytes that the registry has. */
  offset: number;
  /** 0 for no minimum. */
  readonly minPieceBytes: number;
}

function locationOf(answer: Answer, insecure: boolean): URL {
  return parseLocation(headerOf(answer, "location"), answer.call.url, insecure);
}

/** How many bytes a Range header says are there; undefined when it says nothing. "0-0" is how some registries say none. */
export function parseUploadRange(header: string): number | undefined {
  const match = /^(?:bytes=)?0-(\d{1,15})$/.exec(header.trim());
  if (match === null) return undefined;
  const last = Number(match[1]);
  return last === 0 ? 0 : last + 1;
}

/** The URL that closes a session: its query stays as the registry wrote it. */
export function withDigest(location: URL, digest: Digest): URL {
  const url = new URL(location);
  url.search = `${url.search === "" ? "?" : `${url.search}&`}digest=${encodeURIComponent(digest)}`;
  return url;
}

function opened(answer: Answer, insecure: boolean): UploadSession {
  const least = headerOf(answer, "oci-chunk-min-length");
  return {
    location: locationOf(answer, insecure),
    offset: 0,
    minPieceBytes: /^\d{1,10}$/.test(least) ? Number(least) : 0,
  };
}

async function openSession({ session, named }: UploadDeps, signal: AbortSignal): Promise<UploadSession> {
  const answer = await session.expect(
    [202],
    {
      method: "POST",
      target: `${named.path}/blobs/uploads/`,
      headers: { "content-length": "0" },
      scopes: [scopeOf(named.path, "pull", "push")],
    },
    signal,
  );
  discard(answer);
  return opened(answer, session.endpoint.insecure);
}

/**
 * Asks for a blob of another repository.
 *
 * @returns true when it is here now; an open session where the registry began an upload instead
 */
export async function mountBlob(
  { session, named, config }: UploadDeps,
  digest: Digest,
  fromPath: string,
  signal: AbortSignal,
): Promise<true | UploadSession | undefined> {
  const query = new URLSearchParams({ mount: parseDigest(digest), from: fromPath });
  const request = {
    method: "POST",
    target: `${named.path}/blobs/uploads/?${query.toString()}`,
    headers: { "content-length": "0" },
    scopes: [scopeOf(named.path, "pull", "push"), scopeOf(fromPath, "pull")],
  };
  try {
    const answer = await withRetries(() => session.expect([201, 202], request, signal), config, signal);
    discard(answer);
    return answer.status === 201 ? true : opened(answer, session.endpoint.insecure);
  } catch (error) {
    if (error instanceof RegistryError && !error.transient && error.status !== undefined) return undefined;
    throw error;
  }
}

/** The bytes of one piece; complains when the source is shorter than it said. */
async function* pieceOf(
  blob: Blob,
  offset: number,
  length: number,
  onSent: (bytes: number) => void,
): AsyncGenerator<Uint8Array, void> {
  let left = length;
  if (left === 0) return;
  for await (const chunk of blob.open(offset)) {
    const part = chunk.length > left ? chunk.subarray(0, left) : chunk;
    yield part;
    left -= part.length;
    onSent(length - left);
    if (left === 0) return;
  }
  throw new RegistryError("System", `${blob.digest} ends ${left} bytes before it should`);
}

async function sendPiece(
  { session, named }: UploadDeps,
  upload: UploadSession,
  blob: Blob,
  length: number,
  onProgress: (bytes: number) => void,
  signal: AbortSignal,
): Promise<void> {
  const { offset } = upload;
  const answer = await session.expect(
    [201, 202, 204],
    {
      method: "PATCH",
      target: upload.location,
      headers: {
        "content-type": "application/octet-stream",
        "content-length": String(length),
        "content-range": `${offset}-${offset + length - 1}`,
      },
      body: pieceOf(blob, offset, length, (bytes) => onProgress(offset + bytes)),
      scopes: [scopeOf(named.path, "pull", "push")],
      patience: commitPatience,
    },
    signal,
  );
  discard(answer);
  if (headerOf(answer, "location") !== "") upload.location = locationOf(answer, session.endpoint.insecure);
  const has = parseUploadRange(headerOf(answer, "range")) ?? offset + length;
  if (has > offset + length) throw refused(`the registry says that it has ${has} bytes of ${offset + length}`);
  // One that kept nothing would be sent the same for ever.
  if (has <= offset && length > 1)
    throw new RegistryError("Unavailable", "the registry did not keep what it was sent", { transient: true });
  upload.offset = length === 1 ? offset + 1 : has;
}

async function closeSession(
  { session, named }: UploadDeps,
  upload: UploadSession,
  digest: Digest,
  signal: AbortSignal,
): Promise<void> {
  const answer = await session.expect(
    [201, 204],
    {
      method: "PUT",
      target: withDigest(upload.location, digest),
      headers: { "content-type": "application/octet-stream" },
      body: new Uint8Array(0),
      scopes: [scopeOf(named.path, "pull", "push")],
      patience: commitPatience,
    },
    signal,
  );
  discard(answer);
  const stored = headerOf(answer, "docker-content-digest");
  if (stored !== "" && stored !== digest)
    throw refused(`the registry stored ${stored.slice(0, 80)} in place of ${digest}`);
}

/** How far the registry got; undefined when it knows the session no more. */
async function askOffset(
  { session, named }: UploadDeps,
  upload: UploadSession,
  signal: AbortSignal,
): Promise<UploadSession | undefined> {
  const scopes = [scopeOf(named.path, "pull", "push")];
  const answer = await session.request({ method: "GET", target: upload.location, scopes }, signal);
  discard(answer);
  if (answer.status !== 204 && answer.status !== 202 && answer.status !== 200) return undefined;
  const offset = parseUploadRange(headerOf(answer, "range"));
  if (offset === undefined) return undefined;
  const location =
    headerOf(answer, "location") === "" ? upload.location : locationOf(answer, session.endpoint.insecure);
  return { ...upload, location, offset };
}

/** Gone, or at another point than we think: only a new session helps. */
function isLost(error: unknown): boolean {
  return error instanceof RegistryError && (error.status === 404 || error.status === 416);
}

function isTooMuch(error: unknown): boolean {
  return error instanceof RegistryError && error.status === 413;
}

/**
 * As Repository.uploadBlob. Attempts count from the last progress.
 *
 * @param begun a session that a failed mount left open
 */
export async function uploadBlob(
  deps: UploadDeps,
  blob: Blob,
  begun: UploadSession | undefined,
  onProgress: (bytes: number) => void,
  signal: AbortSignal,
): Promise<void> {
  const { config, session, named } = deps;
  const scopes = [scopeOf(named.path, "pull", "push")];
  let upload = begun;
  let inPieces = false;
  let farthest = 0;
  for (let attempt = 1; ; attempt++) {
    try {
      if (attempt > 1 && upload !== undefined) upload = await askOffset(deps, upload, signal);
      if (attempt > 1 && (await statBlob(session, named, blob.digest, scopes, signal)) === blob.sizeBytes) return;
      upload ??= await openSession(deps, signal);
      onProgress(upload.offset);
      while (upload.offset < blob.sizeBytes) {
        const rest = blob.sizeBytes - upload.offset;
        const length = inPieces ? Math.min(rest, Math.max(pieceBytes, upload.minPieceBytes)) : rest;
        await sendPiece(deps, upload, blob, length, onProgress, signal);
        if (upload.offset > farthest) attempt = 1;
        farthest = Math.max(farthest, upload.offset);
      }
      await closeSession(deps, upload, blob.digest, signal);
      onProgress(blob.sizeBytes);
      return;
    } catch (error) {
      const again = isLost(error) || (isTooMuch(error) && !inPieces);
      if (again && attempt < config.maxAttempts) {
        if (isLost(error)) upload = undefined;
      } else await pauseOrThrow(error, attempt, config, signal);
      inPieces = true;
    }
  }
}
