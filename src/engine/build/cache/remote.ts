// Where external caches are read: a repository, or the client's content store. Bytes of layers are checked by whoever unpacks them.

import { setTimeout as sleep } from "node:timers/promises";
import { type Digest, digestOf, parseDigest } from "../../../base/digest.ts";
import { EngineError } from "../../../base/errors.ts";
import { type Named, renderReference } from "../../../base/reference.ts";
import { type Distribution, type Repository, planRetry } from "../../../distribution/index.ts";
import type { BuildClient } from "../client.ts";

/** What Docker calls the registry that needs no name. */
const hubHost = "https://index.docker.io/v1/";
const maxAttempts = 3;
/** A document that is read whole. */
const maxDocumentBytes = 4 << 20;

export interface CacheRemote {
  /** As the progress says it. */
  readonly name: string;
  /** The cache's manifest, or index. */
  manifest(signal: AbortSignal): Promise<Uint8Array>;
  /** Another manifest, of an index. */
  child(digest: Digest, signal: AbortSignal): Promise<Uint8Array>;
  open(blob: { readonly digest: Digest; readonly sizeBytes: number }, signal: AbortSignal): AsyncIterable<Uint8Array>;
}

/** A blob that is read whole, verified. @throws InvalidParameter too large, or not what its digest says */
export async function readDocument(
  remote: CacheRemote,
  blob: { readonly digest: Digest; readonly sizeBytes: number },
  signal: AbortSignal,
): Promise<Buffer> {
  if (blob.sizeBytes > maxDocumentBytes)
    throw new EngineError("InvalidParameter", `${blob.digest} is larger than ${maxDocumentBytes} bytes`);
  return collect(remote.open(blob, signal), blob.digest);
}

async function collect(chunks: AsyncIterable<Uint8Array>, digest: Digest): Promise<Buffer> {
  const all: Uint8Array[] = [];
  let total = 0;
  for await (const chunk of chunks) {
    total += chunk.length;
    if (total > maxDocumentBytes) throw new EngineError("InvalidParameter", `${digest} is too large`);
    all.push(chunk);
  }
  const bytes = Buffer.concat(all);
  if (digestOf(bytes) !== digest) throw new EngineError("InvalidParameter", `${digest} is not what its digest says`);
  return bytes;
}

/** A cache in a registry, read with the client's credentials. */
export async function registryRemote(
  distribution: Distribution,
  named: Named,
  client: BuildClient,
  signal: AbortSignal,
): Promise<CacheRemote> {
  const credentials = await client.credentials(named.domain === "docker.io" ? hubHost : named.domain, signal);
  const repository = await distribution.repository(named, "pull", credentials, signal);
  const reference = named.digest ?? named.tag ?? "latest";
  return {
    name: renderReference(named),
    manifest: async (stop) => (await repository.manifest(reference, stop)).bytes,
    child: async (digest, stop) => (await repository.manifest(digest, stop)).bytes,
    open: (blob, stop) => download(repository, blob, stop),
  };
}

/** Goes on where a broken connection stopped. */
async function* download(
  repository: Repository,
  { digest, sizeBytes }: { readonly digest: Digest; readonly sizeBytes: number },
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  let offset = 0;
  for (let attempt = 1; offset < sizeBytes; attempt++) {
    const before = offset;
    try {
      const body = await repository.openBlob(digest, offset, signal);
      let skip = offset - body.offset;
      for await (const chunk of body.chunks) {
        const rest = skip > 0 ? chunk.subarray(skip) : chunk;
        skip = Math.max(0, skip - chunk.length);
        if (rest.length === 0) continue;
        offset += rest.length;
        yield rest;
      }
      if (offset < sizeBytes) throw new EngineError("Unavailable", `blob ${digest}: the registry sent too little`);
    } catch (error) {
      if (offset > before) attempt = 1;
      const decision = planRetry(error, attempt, maxAttempts);
      if (signal.aborted || !decision.retry) throw error;
      await sleep(decision.delayMs, undefined, { signal });
    }
  }
}

/** A cache in a directory of the client. */
export function localRemote(client: BuildClient, store: string, digest: string): CacheRemote {
  const content = client.contentStore(store);
  const read = async (of: Digest, signal: AbortSignal): Promise<Uint8Array> =>
    collect((await content.read(of, signal)) as AsyncIterable<Uint8Array>, of);
  return {
    name: store,
    manifest: (signal) => read(parseDigest(digest), signal),
    child: read,
    async *open({ digest: of }, signal) {
      yield* (await content.read(of, signal)) as AsyncIterable<Uint8Array>;
    },
  };
}
