// What a build may ask of whoever asked for it: files, secrets, agents, credentials, and a place for its outputs. A BuildKit
// session satisfies it (buildkit/session), and the classic endpoint's request does (classic.ts).

import type { Duplex, Readable, Writable } from "node:stream";
import type { RegistryCredentials } from "../api/ports.ts";
import type { SourceDirectory } from "./sources/index.ts";

export interface SyncOptions {
  readonly includePatterns: readonly string[];
  readonly excludePatterns: readonly string[];
  /** Paths (patterns too) whose symlinks are followed, so that what they lead to comes along. */
  readonly followPaths: readonly string[];
  /** Bytes and files so far. */
  progress(bytes: number, files: number): void;
}

export interface BuildClient {
  /** Names what may be shared between builds; builds of different sessions never share a step that uses a secret or an agent. */
  readonly sessionId: string;
  /**
   * The client's directory of that name ("context", "dockerfile", or a named context's), as it is now.
   *
   * @throws NotFound the client has no such directory
   */
  syncDirectory(name: string, options: SyncOptions, signal: AbortSignal): Promise<SourceDirectory>;
  /** A stream that the client announced by URL (a Dockerfile or a tar on its standard input). @throws NotFound */
  upload(url: string, signal: AbortSignal): Promise<Readable>;
  /** @returns undefined when the client has none of that id */
  secret(id: string, signal: AbortSignal): Promise<Uint8Array | undefined>;
  /** Whether the client forwards an agent of that id ("default"); and a connection to it. */
  hasAgent(id: string, signal: AbortSignal): Promise<boolean>;
  connectAgent(id: string, signal: AbortSignal): Promise<Duplex>;
  /** For a registry's host as Docker names it ("https://index.docker.io/v1/" for Docker Hub); undefined: anonymous. */
  credentials(host: string, signal: AbortSignal): Promise<RegistryCredentials | undefined>;
  /** Where output number `index` is written as one stream (tar, oci, docker). `metadata` goes with it. */
  sendStream(index: number, metadata: Readonly<Record<string, string>>, signal: AbortSignal): Promise<Writable>;
  /** Copies the tree at `path` (a directory on this host) into the client's output directory `index`. */
  sendDirectory(index: number, path: string, progress: (bytes: number) => void, signal: AbortSignal): Promise<void>;
  /** A content store of the client (oci-layout contexts, local caches) by its id; undefined when it has none of that name. */
  contentStore(id: string): ClientContentStore;
}

/** Blobs at the client. */
export interface ClientContentStore {
  /** @throws NotFound */
  read(digest: string, signal: AbortSignal): Promise<Readable>;
  info(digest: string, signal: AbortSignal): Promise<{ readonly size: number } | undefined>;
  write(digest: string, size: number, data: Readable, signal: AbortSignal): Promise<void>;
}
