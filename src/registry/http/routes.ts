// Paths → what is meant. A repository's name has slashes and may contain any of the API's own words, so paths are read from
// their end. Source: OCI Distribution 1.1, "Endpoints".

import { RegistryError } from "../errors.ts";
import { parseRepository } from "../names.ts";

/** Of the server as a whole. */
export interface ServerRoute {
  readonly kind: "base" | "catalog" | "token" | "health" | "metrics";
}

/** What a repository has; `digest` and `reference` are as the client wrote them. */
export type ContentRoute =
  | { readonly kind: "tags"; readonly repository: string }
  | { readonly kind: "blob" | "referrers"; readonly repository: string; readonly digest: string }
  | { readonly kind: "manifest"; readonly repository: string; readonly reference: string };

/** What is being pushed to a repository; `id` is as the client wrote it. */
export type UploadRoute =
  | { readonly kind: "uploads"; readonly repository: string }
  | { readonly kind: "upload"; readonly repository: string; readonly id: string };

export type Route = ServerRoute | ContentRoute | UploadRoute;

const fixed: Readonly<Record<string, ServerRoute["kind"]>> = {
  "/v2": "base",
  "/v2/": "base",
  "/v2/_catalog": "catalog",
  "/token": "token",
  "/health": "health",
  "/metrics": "metrics",
};

function decode(segment: string): string {
  try {
    return decodeURIComponent(segment);
  } catch (cause) {
    throw new RegistryError("NAME_INVALID", "malformed percent-encoding in the path", { cause });
  }
}

/**
 * @param path without query, as it came
 * @returns undefined when there is nothing of this path
 * @throws NAME_INVALID the repository's name is none
 */
export function parseRoute(path: string): Route | undefined {
  const kind = fixed[path];
  if (kind !== undefined) return { kind };
  if (!path.startsWith("/v2/")) return undefined;
  const segments = path.slice("/v2/".length).split("/").map(decode);
  const name = (taken: number): string => parseRepository(segments.slice(0, -taken).join("/"));
  const [third, second, last] = [segments.at(-3), segments.at(-2) ?? "", segments.at(-1) ?? ""];
  if (third === "blobs" && second === "uploads" && segments.length > 3)
    return last === "" ? { kind: "uploads", repository: name(3) } : { kind: "upload", repository: name(3), id: last };
  if (segments.length < 3) return undefined;
  switch (second) {
    case "blobs":
      if (last === "uploads") return { kind: "uploads", repository: name(2) };
      return { kind: "blob", repository: name(2), digest: last };
    case "manifests":
      return { kind: "manifest", repository: name(2), reference: last };
    case "referrers":
      return { kind: "referrers", repository: name(2), digest: last };
    case "tags":
      return last === "list" ? { kind: "tags", repository: name(2) } : undefined;
    default:
      return undefined;
  }
}
