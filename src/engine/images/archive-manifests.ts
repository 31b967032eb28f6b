// The OCI manifests of an archive, as they are kept with the images: bytes and all, so that a push sends them again.

import type { Digest } from "../../base/digest.ts";
import { isEngineError } from "../../base/errors.ts";
import { type ParsedDocument, parseDocument } from "../../spec/oci/parse.ts";
import type { ArchiveContents } from "./archive.ts";
import type { NewManifest } from "./commit-image.ts";

type ParsedManifest = Extract<ParsedDocument, { readonly kind: "manifest" }>;

const maxIndexDepth = 4;

/** A manifest of an image, ready to be committed with it. */
export function newManifest(digest: Digest, imageId: Digest, document: ParsedManifest, bytes: Uint8Array): NewManifest {
  const { mediaType, layers } = document;
  const record = {
    digest,
    imageId,
    mediaType,
    sizeBytes: bytes.length,
    index: undefined,
    layers: layers.map((layer) => ({ digest: layer.digest, mediaType: layer.mediaType, sizeBytes: layer.size })),
  };
  return { record, bytes };
}

/**
 * Those manifests of a docker-archive's index.json that have compressed layers, as BuildKit writes them. What dockerd writes there
 * describes plain layers and says nothing that manifest.json does not; what is malformed there does not count either.
 */
export function compressedManifests(contents: ArchiveContents, images: ReadonlySet<Digest>): readonly NewManifest[] {
  const index = contents.file("index.json")?.document;
  const found = new Map<Digest, NewManifest>();
  const seen = new Set<Digest>();
  const visit = (digest: Digest | undefined, bytes: Uint8Array | undefined, depth: number): void => {
    if (digest !== undefined && seen.has(digest)) return;
    if (digest !== undefined) seen.add(digest);
    const document = bytes === undefined ? undefined : tryParse(bytes);
    if (bytes === undefined || document === undefined || depth > maxIndexDepth) return;
    if (document.kind === "index") {
      for (const child of document.manifests) visit(child.digest, contents.blob(child.digest)?.document, depth + 1);
      return;
    }
    if (digest === undefined || !images.has(document.config.digest)) return;
    const isCompressed = document.layers.some((layer) => {
      const staged = contents.blob(layer.digest)?.layer;
      return staged !== undefined && (staged.diffId as string) !== layer.digest;
    });
    if (isCompressed) found.set(digest, newManifest(digest, document.config.digest, document, bytes));
  };
  visit(undefined, index, 0);
  return [...found.values()];
}

function tryParse(bytes: Uint8Array): ParsedDocument | undefined {
  try {
    return parseDocument(bytes);
  } catch (error) {
    if (isEngineError(error, "InvalidParameter")) return undefined;
    throw error;
  }
}
