// Names in requests: repositories, tags, digests. What does not match is refused before anything is looked up.
// Source: OCI Distribution 1.1, "Pulling manifests" (grammar of <name> and <reference>).

import { type Digest, parseDigest } from "../base/digest.ts";
import { RegistryError } from "./errors.ts";

const component = "[a-z0-9]+(?:(?:\\.|_|__|-+)[a-z0-9]+)*";
const repositoryPattern = new RegExp(`^${component}(?:/${component})*$`);
const tagPattern = /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$/;
const maxRepositoryLength = 255;

/** A tag, or the digest of a manifest. */
export type ManifestReference =
  | { readonly tag: string; readonly digest?: never }
  | { readonly digest: Digest; readonly tag?: never };

/** @throws NAME_INVALID */
export function parseRepository(text: string): string {
  if (text.length > maxRepositoryLength || !repositoryPattern.test(text))
    throw new RegistryError("NAME_INVALID", "invalid repository name", { detail: { name: text.slice(0, 300) } });
  return text;
}

/** @throws DIGEST_INVALID malformed, or another algorithm than sha256 */
export function parseBlobDigest(text: string): Digest {
  try {
    return parseDigest(text);
  } catch (cause) {
    throw new RegistryError("DIGEST_INVALID", "invalid digest: sha256 and 64 hex digits are expected", {
      detail: { digest: text.slice(0, 300) },
      cause,
    });
  }
}

/** @throws TAG_INVALID, DIGEST_INVALID */
export function parseManifestReference(text: string): ManifestReference {
  if (text.includes(":")) return { digest: parseBlobDigest(text) };
  if (!tagPattern.test(text))
    throw new RegistryError("TAG_INVALID", "invalid tag", { detail: { tag: text.slice(0, 300) } });
  return { tag: text };
}
