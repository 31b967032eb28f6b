// The face of the distribution room: the client of registries (OCI Distribution 1.1, Docker Registry v2). It knows hosts,
// credentials, manifests and blobs; what an image is and where bytes are kept is its callers' affair.
// Invariants: bytes are handed out unchanged; credentials reach only the host (or the token realm of the host) that they are
// for, in no redirect, no log line and no error; every wait ends by the signal or a stall time-out.

import type { Logger } from "../base/log.ts";
import type { Digest } from "../base/digest.ts";
import type { Named } from "../base/reference.ts";

/** What a client sends in X-Registry-Auth (base64url of JSON): either a password or a token. */
export interface Credentials {
  readonly username: string;
  readonly password: string;
  /** An OAuth2 refresh token, as `docker login` keeps it. */
  readonly identityToken: string;
  /** A ready bearer token. */
  readonly registryToken: string;
  /** The registry that they are for, as the client wrote it; "" when it did not say. */
  readonly serverAddress: string;
}

/** How registries are reached; asked anew for every operation, so that a reload of the configuration takes effect. */
export interface DistributionConfig {
  /** Base URLs that are tried before docker.io itself. */
  readonly mirrors: readonly string[];
  /** host[:port] or CIDR: certificates are not verified, and plain HTTP is tried when HTTPS fails. Loopback is always one. */
  readonly insecureRegistries: readonly string[];
  /** Directories with `<host[:port]>/{*.crt,*.cert,*.key}`, the first that has one for a host counts: /etc/docker/certs.d. */
  readonly certsDirectories: readonly string[];
  /** URLs of proxies, "" for none; `noProxy` as Go reads NO_PROXY: names, .suffixes, addresses, CIDR, ports, "*". */
  readonly httpProxy: string;
  readonly httpsProxy: string;
  readonly noProxy: string;
  readonly userAgent: string;
  /** Attempts of one download before it is given up; 5 in dockerd. */
  readonly maxAttempts: number;
  /** A connection that brings nothing for so long is broken off. */
  readonly stallTimeoutMs: number;
  /** Pauses between attempts are multiplied by it; 1 without. For tests. */
  readonly retryDelayScale?: number;
}

export interface FetchedManifest {
  /** Exactly as they came; their digest is `digest` (verified when one was asked for). */
  readonly bytes: Buffer;
  readonly mediaType: string;
  readonly digest: Digest;
}

/** One connection's worth of a blob. */
export interface BlobBody {
  /** Where `chunks` begin: 0 when the registry ignored the range. */
  readonly offset: number;
  /** Of the whole blob; undefined when the registry did not say. */
  readonly sizeBytes: number | undefined;
  /** Throws Unavailable on a broken or stalled connection: open again from where it stopped. Not verified. */
  readonly chunks: AsyncIterable<Uint8Array>;
}

/** A repository in a registry, with the rights that were asked for. Tokens are fetched, kept and renewed as needed. */
export interface Repository {
  readonly named: Named;
  /**
   * @param reference tag or digest
   * @throws NotFound         "manifest for x not found: manifest unknown: …", and "pull access denied for x, repository does
   *                          not exist or may require 'docker login': denied: …", as dockerd says them
   * @throws Forbidden        denied without a word
   * @throws Unauthorized     wrong credentials
   * @throws InvalidParameter the registry sent something else than what was asked for, or too much (4 MiB)
   * @throws Unavailable      not reached, after all attempts; also 429 and 5xx, with the registry's own words
   */
  manifest(reference: string, signal: AbortSignal): Promise<FetchedManifest>;
  /** Only the descriptor: HEAD, or GET where that does not answer with a digest. undefined when there is none. */
  headManifest(
    reference: string,
    signal: AbortSignal,
  ): Promise<{ readonly digest: Digest; readonly mediaType: string; readonly sizeBytes: number } | undefined>;
  /** The digest under which it is stored from now on. */
  putManifest(reference: string, bytes: Uint8Array, mediaType: string, signal: AbortSignal): Promise<Digest>;
  deleteManifest(digest: Digest, signal: AbortSignal): Promise<void>;
  /** All pages (at most 10,000 tags a page, 1,000,000 in all). */
  tags(signal: AbortSignal): AsyncIterable<string>;
  /** Size of a blob, undefined when it is not there. */
  statBlob(digest: Digest, signal: AbortSignal): Promise<number | undefined>;
  /** One request, no retries of its own: the caller goes on from where a connection broke (retry.ts says when). */
  openBlob(digest: Digest, offset: number, signal: AbortSignal): Promise<BlobBody>;
  /** Takes a blob over from another repository of the same registry; false when the registry did not. */
  mountBlob(digest: Digest, fromPath: string, signal: AbortSignal): Promise<boolean>;
  /**
   * Uploads in chunks; after a broken connection it asks the registry how far it got and goes on from there.
   *
   * @param open       the blob's bytes from an offset on; called again after a break
   * @param onProgress bytes sent so far; after a break it falls back to what the registry has
   */
  uploadBlob(
    blob: { readonly digest: Digest; readonly sizeBytes: number; open(offset: number): AsyncIterable<Uint8Array> },
    onProgress: (bytes: number) => void,
    signal: AbortSignal,
  ): Promise<void>;
}

export interface Distribution {
  /**
   * A repository of whichever endpoint answers: mirrors first (pull only), then the registry; with HTTPS, and with HTTP where
   * it is insecure. Its host's credentials are `credentials`.
   *
   * @throws Unavailable no endpoint can be reached
   */
  repository(
    named: Named,
    access: "pull" | "push",
    credentials: Credentials | undefined,
    signal: AbortSignal,
  ): Promise<Repository>;
  /**
   * Tries credentials at a registry, as POST /auth.
   *
   * @returns dockerd's status text, and a refresh token where the registry gave one ("" otherwise)
   * @throws Unauthorized with the registry's words
   */
  login(
    credentials: Credentials,
    signal: AbortSignal,
  ): Promise<{ readonly status: string; readonly identityToken: string }>;
  /** GET /v1/search of the registry in `term` (docker.io without one). @throws Unavailable, NotFound no search there */
  search(
    term: string,
    limit: number,
    credentials: Credentials | undefined,
    signal: AbortSignal,
  ): Promise<readonly SearchResult[]>;
  /**
   * GET of a file that is no registry's: http or https (http where the URL does not say), at most ten redirects, none from a public
   * host to a local one. Credentials in the URL are sent to its own host alone.
   *
   * @throws InvalidParameter       no such URL, or a redirect that is not followed
   * @throws NotFound, Unauthorized … "failed to GET x with status 404 Not Found: …"
   * @throws Unavailable            not reached, or another status
   */
  download(url: string, signal: AbortSignal): Promise<Download>;
  /** Closes idle connections. */
  close(): void;
}

/** A file that is coming in. */
export interface Download {
  /** As it was asked for, without credentials. */
  readonly url: string;
  /** undefined when the server did not say. */
  readonly sizeBytes: number | undefined;
  readonly chunks: AsyncIterable<Uint8Array>;
}

/** One hit. Source: Engine API 1.51, ImageSearch. */
export interface SearchResult {
  readonly name: string;
  readonly description: string;
  readonly star_count: number;
  readonly is_official: boolean;
  readonly is_automated: boolean;
}

export interface DistributionDeps {
  config(): DistributionConfig;
  readonly logger: Logger;
}

export { createDistribution } from "./distribution.ts";
export { RegistryError } from "./errors.ts";
export { type RetryDecision, planRetry } from "./retry.ts";
export { maskCredentials } from "./proxy.ts";
