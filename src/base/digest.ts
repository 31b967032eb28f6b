// Content digests, `sha256:<64 hex>`. Only sha256 is accepted: every registry and archive in use has it.
// Source: OCI image-spec 1.1, descriptor.md, "Digests".

import { createHash } from "node:crypto";
import type { Brand } from "./brand.ts";
import { EngineError } from "./errors.ts";

/** Digest of a blob as stored (compressed, where it is). */
export type Digest = Brand<"Digest">;
/** Digest of a layer's uncompressed tar stream. */
export type DiffId = Brand<"DiffId">;
/** Digest of a stack of layers. Source: OCI image-spec 1.1, config.md, "Layer ChainID". */
export type ChainId = Brand<"ChainId">;

const sha256 = /^sha256:[0-9a-f]{64}$/;

/** @throws InvalidParameter unless `sha256:` and 64 lower-case hex digits */
export function parseDigest(text: string): Digest {
  if (!sha256.test(text))
    throw new EngineError("InvalidParameter", `invalid digest: ${JSON.stringify(text.slice(0, 80))}`);
  return text as Digest;
}

/** @throws InvalidParameter unless `sha256:` and 64 lower-case hex digits */
export function parseDiffId(text: string): DiffId {
  return parseDigest(text) as string as DiffId;
}

/** @throws InvalidParameter unless `sha256:` and 64 lower-case hex digits */
export function parseChainId(text: string): ChainId {
  return parseDigest(text) as string as ChainId;
}

/** The hex digits without the algorithm; safe as a file name. */
export function hexOf(digest: Digest | DiffId | ChainId): string {
  return digest.slice("sha256:".length);
}

export function digestOf(bytes: Uint8Array | string): Digest {
  return `sha256:${createHash("sha256").update(bytes).digest("hex")}` as Digest;
}

/** The chain ids of a stack of layers, bottom first: one per layer. */
export function chainIdsOf(diffIds: readonly DiffId[]): ChainId[] {
  const chain: ChainId[] = [];
  for (const diffId of diffIds) {
    const parent = chain.at(-1);
    chain.push((parent === undefined ? diffId : digestOf(`${parent} ${diffId}`)) as string as ChainId);
  }
  return chain;
}
