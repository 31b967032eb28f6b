// A pull-through cache. A tag is asked for upstream when the last answer is older than the time to live; what is asked for by
// digest is right for ever. While the upstream cannot be reached, what is here is served. Whether a repository has a blob is
// the upstream's to say: that another repository's is here gives nobody a right to it.

import type { Digest } from "../../base/digest.ts";
import { EngineError, messageOf } from "../../base/errors.ts";
import type { Logger } from "../../base/log.ts";
import { RegistryError } from "../errors.ts";
import type { ByteRange } from "../http/ranges.ts";
import { parseManifestDocument } from "../manifest-document.ts";
import type { ManifestReference } from "../names.ts";
import type { Storage, StoredManifest } from "../storage/index.ts";
import { Download } from "./download.ts";
import { createUpstream, type UpstreamOptions } from "./upstream.ts";

export interface MirroredBlob {
  readonly sizeBytes: number;
  chunks(range: ByteRange): AsyncIterable<Uint8Array>;
}

export interface Mirror {
  /** @throws UNAVAILABLE not here, and the upstream cannot be reached */
  manifest(repository: string, reference: ManifestReference, signal: AbortSignal): Promise<StoredManifest | undefined>;
  /**
   * A blob that the repository does not have here yet; asked for with its bytes, it is fetched and kept.
   *
   * @throws UNAVAILABLE
   */
  blob(repository: string, digest: Digest, onlySize: boolean, signal: AbortSignal): Promise<MirroredBlob | undefined>;
  /** All tags in the API's order; undefined when the upstream cannot be reached. @throws NAME_UNKNOWN */
  tags(repository: string, signal: AbortSignal): Promise<readonly string[] | undefined>;
  /** Breaks off what is under way. */
  close(): Promise<void>;
}

export interface MirrorOptions extends UpstreamOptions {
  readonly ttlMs: number;
}

const noteUseMs = 3_600_000;

/** The order of tags/list. */
export function compareTags(a: string, b: string): number {
  const [left, right] = [a.toLowerCase(), b.toLowerCase()];
  if (left !== right) return left < right ? -1 : 1;
  return a === b ? 0 : a < b ? -1 : 1;
}

/** @throws InvalidParameter the upstream's URL is none */
export function createMirror(options: MirrorOptions, storage: Storage, logger: Logger): Mirror {
  const { files, records, uploads } = storage;
  const upstream = createUpstream(options, logger);
  const closing = new AbortController();
  const manifests = new Map<string, Promise<StoredManifest | undefined>>();
  const downloads = new Map<string, Promise<Download | undefined>>();
  const running = new Set<Promise<void>>();

  /** Runs `work` once for all who ask for `key` at the same time; a client that goes does not end it for the others. */
  function once<T>(map: Map<string, Promise<T>>, key: string, work: () => Promise<T>): Promise<T> {
    let pending = map.get(key);
    if (pending === undefined) {
      pending = work().finally(() => map.delete(key));
      map.set(key, pending);
    }
    return pending;
  }

  function cached(repository: string, digest: Digest): StoredManifest | undefined {
    const manifest = records.manifest(repository, digest);
    const now = Date.now();
    if (manifest !== undefined) records.refreshManifest(repository, digest, now, now - noteUseMs);
    return manifest;
  }

  function store(repository: string, bytes: Buffer, mediaType: string, tag: string | undefined): StoredManifest {
    const document = parseManifestDocument(bytes, mediaType);
    records.putManifest(repository, document, bytes, tag, Date.now(), false);
    return { digest: document.digest, mediaType: document.mediaType, bytes };
  }

  async function byDigest(repository: string, digest: Digest): Promise<StoredManifest | undefined> {
    const fetched = await upstream.ask(repository, (remote) => remote.manifest(digest, closing.signal), closing.signal);
    return fetched === undefined ? undefined : store(repository, fetched.bytes, fetched.mediaType, undefined);
  }

  async function byTag(repository: string, tag: string): Promise<StoredManifest | undefined> {
    const head = await upstream.ask(repository, (remote) => remote.headManifest(tag, closing.signal), closing.signal);
    if (head === undefined) {
      records.deleteTag(repository, tag);
      return undefined;
    }
    if (records.setTag(repository, tag, head.digest, Date.now())) return cached(repository, head.digest);
    const fetched = await upstream.ask(
      repository,
      (remote) => remote.manifest(head.digest, closing.signal),
      closing.signal,
    );
    return fetched === undefined ? undefined : store(repository, fetched.bytes, fetched.mediaType, tag);
  }

  async function manifestOfTag(repository: string, tag: string): Promise<StoredManifest | undefined> {
    const known = records.tag(repository, tag);
    const here = known === undefined ? undefined : cached(repository, known.digest);
    if (known !== undefined && here !== undefined && Math.abs(Date.now() - known.checkedMs) < options.ttlMs)
      return here;
    try {
      return await once(manifests, `${repository}:${tag}`, () => byTag(repository, tag));
    } catch (error) {
      if (here === undefined || !(error instanceof RegistryError && error.code === "UNAVAILABLE")) throw error;
      return here;
    }
  }

  /** A blob that is here, for a repository that the upstream says has it. */
  async function here(digest: Digest, sizeBytes: number): Promise<MirroredBlob | undefined> {
    if ((await files.size(digest)) !== sizeBytes) return undefined;
    return {
      sizeBytes,
      async *chunks({ first, last }) {
        const file = await files.open(digest);
        // The stream closes it.
        yield* file.createReadStream({ start: first, end: last, highWaterMark: 1 << 20 }) as AsyncIterable<Buffer>;
      },
    };
  }

  async function startDownload(path: string, digest: Digest, sizeBytes: number): Promise<Download> {
    const repository = await upstream.repository(path, closing.signal);
    const upload = await uploads.create(path);
    const download = new Download(storage, { path, repository, digest, sizeBytes }, upload, closing.signal);
    const settled = download.done.catch((error: unknown) =>
      logger.warn("a blob could not be fetched", { repository: path, digest, error: messageOf(error) }),
    );
    running.add(settled);
    void settled.finally(() => running.delete(settled));
    return download;
  }

  return {
    async manifest(repository, reference) {
      if (reference.tag !== undefined) return manifestOfTag(repository, reference.tag);
      const { digest } = reference;
      return (
        cached(repository, digest) ?? once(manifests, `${repository}@${digest}`, () => byDigest(repository, digest))
      );
    },

    async blob(repository, digest, onlySize, signal) {
      const sizeBytes = await upstream.ask(repository, (remote) => remote.statBlob(digest, signal), signal);
      if (sizeBytes === undefined) return undefined;
      const local = await here(digest, sizeBytes);
      if (local !== undefined && records.linkBlob(repository, digest, Date.now())) return local;
      if (onlySize || sizeBytes === 0) return { sizeBytes, chunks: () => (async function* nothing() {})() };
      const key = `${repository}@${digest}`;
      let pending = downloads.get(key);
      if (pending === undefined) {
        pending = startDownload(repository, digest, sizeBytes);
        downloads.set(key, pending);
        const forget = (): boolean => downloads.delete(key);
        void pending.then((download) => download?.done).then(forget, forget);
      }
      return pending;
    },

    async tags(repository, signal) {
      try {
        const found = await upstream.ask(repository, async (remote) => Array.fromAsync(remote.tags(signal)), signal);
        if (found !== undefined) return found.sort(compareTags);
      } catch (error) {
        if (error instanceof RegistryError && error.code === "UNAVAILABLE") return undefined;
        throw error;
      }
      throw new RegistryError("NAME_UNKNOWN", "repository name not known to the upstream", {
        detail: { name: repository },
      });
    },

    async close() {
      closing.abort(new EngineError("Cancelled", "the registry is closing"));
      await Promise.all(running);
      upstream.close();
    },
  };
}
