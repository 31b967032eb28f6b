// Who asked through the classic endpoint, as a build sees it: a tar for a context, credentials of a header, and nothing else. With a
// session that the client opened beside it, what is not in the request is asked there.

import type { Duplex, Readable, Writable } from "node:stream";
import { EngineError } from "../../../base/errors.ts";
import type { RegistryCredentials } from "../../api/ports.ts";
import type { BuildClient, ClientContentStore, SyncOptions } from "../client.ts";
import type { SourceDirectory } from "../sources/index.ts";
import type { TarContext } from "./context.ts";

export interface ClassicClientOptions {
  /** Of the build. */
  readonly ref: string;
  readonly registries: ReadonlyMap<string, RegistryCredentials>;
  readonly context: TarContext | undefined;
  /** Its path in the context. */
  readonly dockerfile: string;
  readonly session: BuildClient | undefined;
}

export class ClassicClient implements BuildClient {
  readonly sessionId: string;
  readonly #options: ClassicClientOptions;

  constructor(options: ClassicClientOptions) {
    this.#options = options;
    this.sessionId = options.session?.sessionId ?? options.ref;
  }

  async syncDirectory(name: string, options: SyncOptions, signal: AbortSignal): Promise<SourceDirectory> {
    const { context, dockerfile, session } = this.#options;
    if (context === undefined) return this.#session("its files", session).syncDirectory(name, options, signal);
    if (name !== "context" && name !== "dockerfile")
      throw new EngineError("NotFound", `the client has no directory ${JSON.stringify(name)}`);
    if (name === "context") await context.exclude(options.excludePatterns, [dockerfile, ".dockerignore"]);
    return context.directory();
  }

  async upload(url: string, signal: AbortSignal): Promise<Readable> {
    return this.#session("an upload", this.#options.session).upload(url, signal);
  }

  async secret(id: string, signal: AbortSignal): Promise<Uint8Array | undefined> {
    return this.#options.session?.secret(id, signal);
  }

  async hasAgent(id: string, signal: AbortSignal): Promise<boolean> {
    return (await this.#options.session?.hasAgent(id, signal)) ?? false;
  }

  async connectAgent(id: string, signal: AbortSignal): Promise<Duplex> {
    return this.#session("an ssh agent", this.#options.session).connectAgent(id, signal);
  }

  async credentials(host: string, signal: AbortSignal): Promise<RegistryCredentials | undefined> {
    const { registries, session } = this.#options;
    const found = registries.get(host) ?? [...registries].find(([name]) => hostOf(name) === hostOf(host))?.[1];
    return found ?? session?.credentials(host, signal);
  }

  async sendStream(index: number, metadata: Readonly<Record<string, string>>, signal: AbortSignal): Promise<Writable> {
    return this.#session("an output", this.#options.session).sendStream(index, metadata, signal);
  }

  async sendDirectory(
    index: number,
    path: string,
    progress: (bytes: number) => void,
    signal: AbortSignal,
  ): Promise<void> {
    await this.#session("an output", this.#options.session).sendDirectory(index, path, progress, signal);
  }

  contentStore(id: string): ClientContentStore {
    return this.#session("a content store", this.#options.session).contentStore(id);
  }

  #session(what: string, session: BuildClient | undefined): BuildClient {
    if (session !== undefined) return session;
    throw new EngineError("InvalidParameter", `the build needs ${what} of the client, which opened no session for it`);
  }
}

/** "https://index.docker.io/v1/" and "index.docker.io" are one registry. */
function hostOf(name: string): string {
  const host = name.replace(/^https?:\/\//, "").replace(/\/.*$/, "");
  return host === "index.docker.io" || host === "registry-1.docker.io" ? "docker.io" : host;
}
