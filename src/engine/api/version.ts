// API versions at the door: `/v1.24` to `/v1.51` before the path, or none for the newest. A version is kept as its minor
// number, since the major one is always 1.

import { EngineError } from "../../base/errors.ts";

/** Oldest and newest minor version spoken. */
export const minMinor = 24;
export const maxMinor = 51;

export const minApiVersion = `1.${minMinor}`;
export const maxApiVersion = `1.${maxMinor}`;

const prefix = /^\/v([0-9.]+)(\/.*)$/;

/** Compares dotted numbers as numbers, a missing part being 0: "1.9" < "1.10". */
function compareVersions(a: string, b: string): number {
  const left = a.split(".");
  const right = b.split(".");
  for (let i = 0; i < Math.max(left.length, right.length); i++) {
    const difference = Number(left[i] ?? 0) - Number(right[i] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}

/**
 * Splits `/v1.40/info` into 40 and `/info`; without a prefix the newest minor and the path as it is.
 *
 * @throws InvalidParameter newer than the newest or older than the oldest, in dockerd's words
 */
export function parseVersionedPath(path: string): { readonly minor: number; readonly path: string } {
  const match = prefix.exec(path);
  if (match === null) return { minor: maxMinor, path };
  const version = match[1] ?? "";
  if (compareVersions(version, maxApiVersion) > 0)
    throw new EngineError(
      "InvalidParameter",
      `client version ${version} is too new. Maximum supported API version is ${maxApiVersion}`,
    );
  if (compareVersions(version, minApiVersion) < 0)
    throw new EngineError(
      "InvalidParameter",
      `client version ${version} is too old. Minimum supported API version is ${minApiVersion}, please upgrade your client to a newer version`,
    );
  return { minor: Number(version.split(".")[1]), path: match[2] ?? "/" };
}
