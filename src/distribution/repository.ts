// One repository over all its endpoints: mirrors are tried first for whatever is read, and left for the next at any failure;
// the registry itself is asked again where that may help.

import type { Digest } from "../base/digest.ts";
import { isEngineError, messageOf } from "../base/errors.ts";
import type { Logger } from "../base/log.ts";
import type { Named } from "../base/reference.ts";
import { withRetries } from "./attempts.ts";
import { openBlob, statBlob } from "./blob.ts";
import type { Endpoint } from "./endpoint.ts";
import { refused, RegistryError } from "./errors.ts";
import type { BlobBody, Credentials, FetchedManifest, Repository } from "./index.ts";
import {
  deleteManifest,
  fetchManifest,
  headManifest,
  type ManifestHead,
  parseManifestReference,
  putManifest,
  scopeOf,
  translatePullError,
} from "./manifest.ts";
import { Session, type SessionDeps } from "./session.ts";
import { fetchTagPage, maxTags } from "./tags.ts";
import { mountBlob, uploadBlob } from "./upload.ts";

export interface RepositoryDeps extends SessionDeps {
  readonly logger: Logger;
}

/** An endpoint as this repository has found it. */
interface Site {
  readonly endpoint: Endpoint;
  session: Session | undefined;
  /** Why it is not asked any more. */
  failure: unknown;
  /** Blobs of a mirror that broke off; after two it is left alone. */
  brokenBlobs: number;
}

const maxBrokenBlobs = 2;

export class RemoteRepository implements Repository {
  readonly named: Named;
  readonly #deps: RepositoryDeps;
  readonly #sites: readonly Site[];
  readonly #credentials: Credentials | undefined;
  readonly #scopes: readonly string[];
  /** Sessions that failed mounts left open, by digest. */
  readonly #begun = new Map<Digest, Parameters<typeof uploadBlob>[2]>();

  constructor(
    deps: RepositoryDeps,
    named: Named,
    access: "pull" | "push",
    endpoints: readonly Endpoint[],
    credentials: Credentials | undefined,
  ) {
    this.#deps = deps;
    this.named = named;
    this.#credentials = credentials;
    this.#scopes = [access === "pull" ? scopeOf(named.path, "pull") : scopeOf(named.path, "pull", "push")];
    this.#sites = endpoints.map((endpoint) => ({ endpoint, session: undefined, failure: undefined, brokenBlobs: 0 }));
  }

  /** Finds an endpoint that answers. @throws what the last one failed with */
  async connect(signal: AbortSignal): Promise<void> {
    await this.#on(async () => {}, signal);
  }

  /** The session of an endpoint, or undefined when it cannot be reached. */
  async #reach(site: Site, signal: AbortSignal): Promise<Session | undefined> {
    if (site.failure !== undefined) return undefined;
    try {
      site.session ??= new Session(this.#deps, {
        endpoint: site.endpoint,
        // A mirror is another host: the registry's credentials are not for it.
        credentials: site.endpoint.isMirror ? undefined : this.#credentials,
        offline: false,
      });
      const { session } = site;
      const ping = (): Promise<void> => session.ping(signal);
      // Where there is another endpoint, it is the second attempt: plain HTTP often answers TLS by hanging up.
      await (site === this.#sites.at(-1) ? withRetries(ping, this.#deps.config, signal) : ping());
      return session;
    } catch (error) {
      // Anything else than a registry's failure is a mistake of ours to be told, not a reason to do without certificates.
      if (!(error instanceof RegistryError)) throw error;
      site.failure = error;
      return undefined;
    }
  }

  async #on<T>(
    operation: (session: Session, site: Site) => Promise<T>,
    signal: AbortSignal,
    retries = true,
  ): Promise<T> {
    let failure: unknown;
    for (const site of this.#sites) {
      const session = await this.#reach(site, signal);
      if (session === undefined) {
        failure = site.failure;
        continue;
      }
      try {
        if (site.endpoint.isMirror || !retries) return await operation(session, site);
        return await withRetries(() => operation(session, site), this.#deps.config, signal);
      } catch (error) {
        if (!site.endpoint.isMirror || isEngineError(error, "Cancelled")) throw firstComplaint(error);
        this.#deps.logger.warn("a registry mirror failed; trying the next endpoint", {
          mirror: site.endpoint.url.host,
          error: messageOf(error),
        });
        failure = error;
      }
    }
    throw firstComplaint(failure);
  }

  async manifest(reference: string, signal: AbortSignal): Promise<FetchedManifest> {
    const asked = parseManifestReference(this.named, reference);
    try {
      return await this.#on((session) => fetchManifest(session, this.named, reference, this.#scopes, signal), signal);
    } catch (error) {
      throw translatePullError(error, asked);
    }
  }

  async headManifest(reference: string, signal: AbortSignal): Promise<ManifestHead | undefined> {
    const asked = parseManifestReference(this.named, reference);
    try {
      return await this.#on(async (session, site) => {
        const head = await headManifest(session, this.named, reference, this.#scopes, signal);
        if (head === undefined && site.endpoint.isMirror)
          throw new RegistryError("NotFound", "the mirror does not have it");
        return head;
      }, signal);
    } catch (error) {
      throw translatePullError(error, asked);
    }
  }

  putManifest(reference: string, bytes: Uint8Array, mediaType: string, signal: AbortSignal): Promise<Digest> {
    const document = { bytes, mediaType };
    return this.#on((session) => putManifest(session, this.named, reference, document, signal), signal);
  }

  deleteManifest(digest: Digest, signal: AbortSignal): Promise<void> {
    return this.#on((session) => deleteManifest(session, this.named, digest, signal), signal);
  }

  async *tags(signal: AbortSignal): AsyncGenerator<string, void> {
    const seen = new Set<string>();
    let next: URL | undefined;
    let count = 0;
    try {
      do {
        const target: URL | undefined = next;
        const page = await this.#on(async (session) => {
          // A later page is at the endpoint of the first.
          if (target !== undefined && target.origin !== session.endpoint.url.origin)
            throw refused("another endpoint's page");
          return await fetchTagPage(session, this.named, target, this.#scopes, signal);
        }, signal);
        count += page.tags.length;
        if (count > maxTags) throw refused(`${this.named.path}: more than ${maxTags} tags`);
        for (const tag of page.tags) yield tag;
        next = page.next;
        if (next !== undefined && seen.has(next.href)) throw refused(`${this.named.path}: the list of tags is a loop`);
        if (next !== undefined) seen.add(next.href);
        if (seen.size > maxTags / 10) throw refused(`${this.named.path}: the list of tags does not end`);
      } while (next !== undefined);
    } catch (error) {
      throw translatePullError(error, this.named);
    }
  }

  statBlob(digest: Digest, signal: AbortSignal): Promise<number | undefined> {
    return this.#on((session) => statBlob(session, this.named, digest, this.#scopes, signal), signal);
  }

  openBlob(digest: Digest, offset: number, signal: AbortSignal): Promise<BlobBody> {
    const open = async (session: Session, site: Site): Promise<BlobBody> => {
      if (site.brokenBlobs >= maxBrokenBlobs) throw new RegistryError("Unavailable", "its blobs broke off");
      const blob = await openBlob(session, this.named, digest, offset, this.#scopes, signal);
      return site.endpoint.isMirror ? { ...blob, chunks: countBreaks(blob.chunks, site) } : blob;
    };
    return this.#on(open, signal, false);
  }

  async mountBlob(digest: Digest, fromPath: string, signal: AbortSignal): Promise<boolean> {
    const { config } = this.#deps;
    const mounted = await this.#on(
      (session) => mountBlob({ session, named: this.named, config }, digest, fromPath, signal),
      signal,
      false,
    );
    if (mounted === true) return true;
    if (mounted !== undefined) this.#begun.set(digest, mounted);
    return false;
  }

  uploadBlob(
    blob: Parameters<Repository["uploadBlob"]>[0],
    onProgress: (bytes: number) => void,
    signal: AbortSignal,
  ): Promise<void> {
    const { config } = this.#deps;
    const begun = this.#begun.get(blob.digest);
    this.#begun.delete(blob.digest);
    return this.#on(
      (session) => uploadBlob({ session, named: this.named, config }, blob, begun, onProgress, signal),
      signal,
      false,
    );
  }
}

/** As dockerd, pulls and pushes tell the first of a registry's complaints. */
function firstComplaint(error: unknown): unknown {
  return error instanceof RegistryError && error.message !== error.firstText ? error.restated(error.firstText) : error;
}

async function* countBreaks(chunks: AsyncIterable<Uint8Array>, site: Site): AsyncGenerator<Uint8Array, void> {
  try {
    yield* chunks;
  } catch (error) {
    if (!isEngineError(error, "Cancelled")) site.brokenBlobs += 1;
    throw error;
  }
}
