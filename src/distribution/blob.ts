// Blobs of one repository at one endpoint: size, bytes from an offset on, and mounts from a neighbour.
// Source: OCI distribution-spec 1.1, "Pulling blobs", "Mounting a blob from another repository"; RFC 9110 section 14.

import { type Digest, parseDigest } from "../base/digest.ts";
import type { Named } from "../base/reference.ts";
import { discard, readChunks, readErrorBody } from "./body.ts";
import { errorOfAnswer, refused } from "./errors.ts";
import type { BlobBody } from "./index.ts";
import type { Session } from "./session.ts";
import { type Answer, headerOf } from "./transport.ts";

function lengthOf(answer: Answer): number | undefined {
  const text = headerOf(answer, "content-length");
  return /^\d{1,15}$/.test(text) ? Number(text) : undefined;
}

/** As Repository.statBlob. */
export async function statBlob(
  session: Session,
  named: Named,
  digest: Digest,
  scopes: readonly string[],
  signal: AbortSignal,
): Promise<number | undefined> {
  const target = `${named.path}/blobs/${parseDigest(digest)}`;
  const answer = await session.request({ method: "HEAD", target, scopes }, signal);
  discard(answer);
  if (answer.status === 404) return undefined;
  if (answer.status !== 200) throw errorOfAnswer({ ...answer, body: Buffer.from(answer.statusText) });
  const size = lengthOf(answer);
  if (size === undefined) throw refused(`the registry did not say how large ${digest} is`);
  return size;
}

/** Where a 206 begins, and how large the whole is; undefined when it does not say. */
export function parseContentRange(
  header: string,
): { readonly offset: number; readonly sizeBytes: number | undefined } | undefined {
  const match = /^bytes (\d{1,15})-(\d{1,15})\/(?:(\d{1,15})|\*)$/.exec(header.trim());
  if (match === null) return undefined;
  const [offset, last, size] = [
    Number(match[1]),
    Number(match[2]),
    match[3] === undefined ? undefined : Number(match[3]),
  ];
  if (last < offset || (size !== undefined && last >= size)) return undefined;
  return { offset, sizeBytes: size };
}

function body(answer: Answer, offset: number, sizeBytes: number | undefined, session: Session): BlobBody {
  const rest = sizeBytes === undefined ? Number.MAX_SAFE_INTEGER : sizeBytes - offset;
  return { offset, sizeBytes, chunks: readChunks(answer, rest, session.stallMs) };
}

/** As Repository.openBlob. A registry that answers a range with nonsense is asked for the whole. */
export async function openBlob(
  session: Session,
  named: Named,
  digest: Digest,
  offset: number,
  scopes: readonly string[],
  signal: AbortSignal,
): Promise<BlobBody> {
  const target = `${named.path}/blobs/${parseDigest(digest)}`;
  const headers: Readonly<Record<string, string>> = offset > 0 ? { range: `bytes=${offset}-` } : {};
  const answer = await session.request({ method: "GET", target, headers, scopes }, signal);
  if (answer.status === 200) return body(answer, 0, lengthOf(answer), session);
  if (answer.status === 206) {
    const range = parseContentRange(headerOf(answer, "content-range"));
    if (offset > 0 && range?.offset === offset) return body(answer, offset, range.sizeBytes, session);
  }
  if (offset > 0 && (answer.status === 206 || answer.status === 416)) {
    answer.message.destroy();
    return await openBlob(session, named, digest, 0, scopes, signal);
  }
  throw errorOfAnswer({ ...answer, body: await readErrorBody(answer, session.stallMs) });
}
