// Byte ranges: of downloads (RFC 9110, section 14) and of chunks that are uploaded (OCI Distribution 1.1, "Pushing a blob in
// chunks").

import { RegistryError } from "../errors.ts";

/** Inclusive on both ends. */
export interface ByteRange {
  readonly first: number;
  readonly last: number;
}

/**
 * The single range that a Range header asks for.
 *
 * @returns undefined when the whole is to be sent: no header, several ranges, another unit, or nonsense
 * @throws RANGE_INVALID beyond the end
 */
export function parseRange(header: string | undefined, sizeBytes: number): ByteRange | undefined {
  const m = /^bytes=(\d{0,15})-(\d{0,15})$/.exec(header?.trim() ?? "");
  if (m === null || (m[1] === "" && m[2] === "")) return undefined;
  const end = m[2] === "" ? sizeBytes - 1 : Number(m[2]);
  const range =
    m[1] === ""
      ? { first: Math.max(0, sizeBytes - end), last: end === 0 ? -1 : sizeBytes - 1 }
      : { first: Number(m[1]), last: Math.min(end, sizeBytes - 1) };
  if (m[1] !== "" && m[2] !== "" && end < range.first) return undefined;
  if (range.first >= sizeBytes || range.last < range.first)
    throw new RegistryError("RANGE_INVALID", "the range is not within the blob", {
      headers: { "Content-Range": `bytes */${sizeBytes}` },
    });
  return range;
}

/**
 * Whether an If-Range header lets the range be served: only the strong validator of exactly these bytes does.
 *
 * @param etag with its quotes
 */
export function allowsRange(ifRange: string | undefined, etag: string): boolean {
  return ifRange === undefined || ifRange.trim() === etag;
}

/**
 * The Content-Range of a chunk: "0-1023", also as "bytes 0-1023/2048".
 *
 * @returns undefined without a header
 * @throws RANGE_INVALID malformed, backwards, or of another length than the body
 */
export function parseChunkRange(header: string | undefined, lengthBytes: number | undefined): ByteRange | undefined {
  if (header === undefined) return undefined;
  const m = /^(?:bytes[ =])?(\d{1,15})-(\d{1,15})(?:\/(?:\d{1,15}|\*))?$/.exec(header.trim());
  const range = { first: Number(m?.[1]), last: Number(m?.[2]) };
  if (m === null || range.last < range.first) throw new RegistryError("RANGE_INVALID", "invalid Content-Range");
  if (lengthBytes !== undefined && range.last - range.first + 1 !== lengthBytes)
    throw new RegistryError("RANGE_INVALID", "Content-Range and Content-Length differ");
  return range;
}
