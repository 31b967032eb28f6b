// Under which keys the result of a step is found. Pure. The definition key is made of what a step does and of the records that it
// builds upon: it is known without looking at a single file. The content key has, instead of records, what the inputs consist of:
// layers by their digests, and where an op reads only a part of an input, the digest of that part. Content keys mean the same on
// every host, which external caches use.

import { createHash } from "node:crypto";
import type { ChainId } from "../../../base/digest.ts";
import { type Op, type SourceOp, type Vertex, canonicalJson } from "../graph/index.ts";
import { definitionOf } from "../graph/vertex.ts";
import type { JobContext } from "./index.ts";
import { recordIdOf } from "./records.ts";

/** How results of keys are told apart; exported caches have both. */
export type KeyKind = "definition" | "content";

function sha256(text: string): Buffer {
  return createHash("sha256").update(text).digest();
}

/** What a step does, as text; the same text on equal inputs makes an equal result. */
export function stepDefinition(op: Op, clampTimes: number | undefined): string {
  return canonicalJson({ clampTimes, op: definitionOf(op) });
}

/** @param inputs record ids for a definition key, content ids for a content key */
export function stepKey(kind: KeyKind, definition: string, inputs: readonly string[]): string {
  return `${kind}:${sha256(JSON.stringify([kind, definition, ...inputs])).toString("hex")}`;
}

/**
 * The id of a source's record: sources with equal ids have equal files, on any host.
 *
 * @param key from the op's runner: an image's id, a commit, an ETag
 */
export function sourceRecordId(op: SourceOp, key: string): string {
  return recordIdOf(sha256(canonicalJson(["source", identifyingPart(op), key])));
}

/** What of a source's definition its key does not say. */
function identifyingPart(op: SourceOp): unknown {
  switch (op.kind) {
    case "image":
    case "oci-layout":
      return "image";
    case "git":
      return { kind: op.kind, remote: op.remote, subdirectory: op.subdirectory, keepGitDir: op.keepGitDir };
    case "http":
      return { kind: op.kind, url: op.url, filename: op.filename, mode: op.mode };
    case "local":
      return op;
  }
}

/** Stands for a tree of layers in content keys. */
export function contentIdOfLayers(chain: readonly ChainId[]): string {
  return `layers ${chain.at(-1) ?? ""}`;
}

/** Stands for what a source has, in content keys. */
export function contentIdOfSource(recordId: string): string {
  return `source ${recordId}`;
}

export function isSource(op: Op): op is SourceOp {
  return op.kind !== "file" && op.kind !== "exec" && op.kind !== "merge";
}

/**
 * Which steps are one while they run. Those with secrets or agents are a session's own, those that must run anew a build's; a step
 * whose files are kept when it fails is another one.
 */
export function runningKey({ op, ignoreCache }: Vertex, job: JobContext, keys: readonly string[]): string {
  const scope: string[] = [keys.at(-1) ?? "", job.keepFailed ? "keep" : ""];
  if (ignoreCache) scope.push(`job ${job.ref}`);
  const usesClient = op.kind === "exec" && op.mounts.some(({ type }) => type === "secret" || type === "ssh");
  if (usesClient) scope.push(`session ${job.client.sessionId}`);
  return JSON.stringify(scope);
}
