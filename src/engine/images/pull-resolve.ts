// From a reference to the documents of one image: index, manifest and config, each verified against what pointed to it.

import { setTimeout as sleep } from "node:timers/promises";
import { type Digest, digestOf } from "../../base/digest.ts";
import { EngineError, isEngineError } from "../../base/errors.ts";
import { RegistryError, type Repository, planRetry } from "../../distribution/index.ts";
import type { OciImageConfig } from "../../spec/oci/image.ts";
import type { ParsedDescriptor, ParsedDocument } from "../../spec/oci/parse.ts";
import type { ExactPlatform } from "../../spec/oci/platform-order.ts";
import type { ContentStore } from "../content/index.ts";
import type { ImagesDeps } from "./images.ts";
import { parseImageConfig } from "./parse-config.ts";
import {
  type CheckedDocument,
  type PlannedLayer,
  checkDocument,
  checkManifest,
  chooseManifest,
  maxIndexDepth,
  planLayers,
} from "./plan-pull.ts";

/** An image in a registry, as far as its documents go. */
export interface ResolvedPull {
  /** Digest of what the reference led to: index or manifest. */
  readonly target: Digest;
  readonly index: CheckedDocument | undefined;
  readonly manifest: CheckedDocument & { readonly document: Extract<ParsedDocument, { kind: "manifest" }> };
  readonly config: OciImageConfig;
  readonly configBytes: Buffer;
  readonly layers: readonly PlannedLayer[];
}

type Asked = Pick<Repository, "manifest" | "openBlob">;
type ResolveDeps = { readonly content: Pick<ContentStore, "has" | "read"> } & Pick<ImagesDeps, "transfers">;

/**
 * Asks for what a reference leads to.
 *
 * @param reference tag or digest
 * @throws see Repository.manifest and checkDocument; of an image that is none, before anything was said of it
 */
export async function fetchTarget(repository: Asked, reference: string, signal: AbortSignal): Promise<CheckedDocument> {
  const target = checkDocument(await repository.manifest(reference, signal));
  if (target.document.kind === "manifest") checkManifest(target.document, target.mediaType);
  return target;
}

/**
 * Follows indexes to the image for a platform.
 *
 * @throws NotFound         the index has none for it
 * @throws InvalidParameter the documents contradict one another, or are no image's
 */
export async function resolvePull(
  deps: ResolveDeps,
  repository: Asked,
  target: CheckedDocument,
  wanted: ExactPlatform,
  signal: AbortSignal,
): Promise<ResolvedPull> {
  let current = target;
  for (let depth = 0; current.document.kind === "index"; depth++) {
    // Loops there are none: an index would have to know its own digest.
    if (depth >= maxIndexDepth)
      throw new EngineError("InvalidParameter", `manifest ${target.digest}: indexes are nested too deeply`);
    const chosen = chooseManifest(current.document.manifests, wanted);
    current = checkDocument(await repository.manifest(chosen.digest, signal));
    if (current.bytes.length !== chosen.size)
      throw new EngineError(
        "InvalidParameter",
        `manifest ${chosen.digest} has ${current.bytes.length} bytes, its index says ${chosen.size}`,
      );
  }
  const { document } = current;
  checkManifest(document, current.mediaType);
  const configBytes = await fetchConfig(deps, repository, document.config, signal);
  const config = parseImageConfig(configBytes);
  return {
    target: target.digest,
    index: target.document.kind === "index" ? target : undefined,
    manifest: { ...current, document },
    config,
    configBytes,
    layers: planLayers(config, document.layers),
  };
}

async function fetchConfig(
  { content, transfers }: ResolveDeps,
  repository: Asked,
  descriptor: ParsedDescriptor,
  signal: AbortSignal,
): Promise<Buffer> {
  const { maxDownloadAttempts, retryDelayScale = 1 } = transfers();
  if (content.has(descriptor.digest)) {
    try {
      return await content.read(descriptor.digest);
    } catch (error) {
      // A lost one is fetched again; it may also have been deleted just now.
      if (!isEngineError(error, "DataLoss") && !isEngineError(error, "NotFound")) throw error;
    }
  }
  for (let attempt = 1; ; attempt++) {
    try {
      return await fetchDocument(repository, descriptor, signal);
    } catch (error) {
      const decision = planRetry(error, attempt, maxDownloadAttempts);
      if (!decision.retry) throw error;
      await sleep(decision.delayMs * retryDelayScale, undefined, { signal });
    }
  }
}

/** Never more than the descriptor says, which is at most 4 MiB. */
async function fetchDocument(repository: Asked, descriptor: ParsedDescriptor, signal: AbortSignal): Promise<Buffer> {
  const { digest, size } = descriptor;
  const wrong = (why: string): RegistryError =>
    new RegistryError("InvalidParameter", `config ${digest} is not what the manifest says: ${why}`);
  const body = await repository.openBlob(digest, 0, signal);
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of body.chunks) {
    length += chunk.length;
    if (length > size) throw wrong(`it has more than ${size} bytes`);
    chunks.push(chunk);
  }
  if (length !== size) throw wrong(`it has ${length} bytes, not ${size}`);
  const bytes = Buffer.concat(chunks);
  const actual = digestOf(bytes);
  if (actual !== digest) throw wrong(`its digest is ${actual}`);
  return bytes;
}
