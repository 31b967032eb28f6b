// One session: a client that serves its build on a connection that it opened. It lives as long as the connection, and as long as
// the client answers.

import type { Duplex, Readable, Writable } from "node:stream";
import { EngineError, isEngineError, messageOf } from "../../../base/errors.ts";
import type { Logger } from "../../../base/log.ts";
import { connectGrpc, type GrpcClient } from "../../../grpc/index.ts";
import { Health } from "../../../spec/buildkit/health.ts";
import { Auth, Secrets, SSH } from "../../../spec/buildkit/session.ts";
import type { RegistryCredentials } from "../../api/ports.ts";
import type { BuildClient, ClientContentStore, SyncOptions } from "../../build/client.ts";
import type { SourceDirectories, SourceDirectory } from "../../build/sources/index.ts";
import { contentStoreOf } from "./content.ts";
import { isAbsent, sendDirectory, syncDirectory } from "./file-sync.ts";
import { connectAgent, openOutput, pullUpload } from "./streams.ts";

/** Source: BuildKit's session/grpc.go. */
const healthEveryMs = 5_000;
const healthTimeoutMs = 15_000;
const maxHealthFailures = 2;
/** Docker Hub as Docker's configuration calls it, and as BuildKit asks for it. */
const hubConfigKey = "https://index.docker.io/v1/";
const hubHost = "registry-1.docker.io";

export interface SessionDeps {
  readonly id: string;
  /** Names the directory that the client builds from; "" when it says nothing. */
  readonly sharedKey: string;
  /** "/package.Service/Method", as announced. */
  readonly methods: ReadonlySet<string>;
  readonly directories: SourceDirectories;
  readonly logger: Logger;
}

export class Session implements BuildClient {
  readonly sessionId: string;
  /** Aborted when the client is gone. */
  readonly gone: AbortSignal;
  readonly #deps: SessionDeps;
  readonly #client: GrpcClient;

  constructor(connection: Duplex, deps: SessionDeps) {
    this.sessionId = deps.id;
    this.#deps = deps;
    this.#client = connectGrpc(connection);
    this.gone = this.#client.gone;
    if (this.#offers("/grpc.health.v1.Health/Check")) this.#watch();
  }

  close(): void {
    this.#client.close();
  }

  async syncDirectory(name: string, options: SyncOptions, signal: AbortSignal): Promise<SourceDirectory> {
    this.#require("/moby.filesync.v1.FileSync/DiffCopy");
    const { directories, sharedKey } = this.#deps;
    return await syncDirectory(this.#client, directories, sharedKey, name, options, this.#with(signal));
  }

  async upload(url: string, signal: AbortSignal): Promise<Readable> {
    this.#require("/moby.upload.v1.Upload/Pull");
    return await pullUpload(this.#client, url, this.#with(signal));
  }

  async secret(id: string, signal: AbortSignal): Promise<Uint8Array | undefined> {
    if (!this.#offers("/moby.buildkit.secrets.v1.Secrets/GetSecret")) return undefined;
    try {
      const { data } = await this.#client.unary(Secrets.methods.GetSecret, { ID: id }, {}, this.#with(signal));
      // A copy of its own: what it came in is a larger buffer.
      return Uint8Array.from(data);
    } catch (error) {
      if (isAbsent(error)) return undefined;
      throw error;
    }
  }

  async hasAgent(id: string, signal: AbortSignal): Promise<boolean> {
    if (!this.#offers("/moby.sshforward.v1.SSH/CheckAgent")) return false;
    try {
      await this.#client.unary(SSH.methods.CheckAgent, { ID: id }, {}, this.#with(signal));
      return true;
    } catch (error) {
      // Clients answer with whatever code: only what is no answer counts as a failure.
      if (isEngineError(error, "Unavailable") || isEngineError(error, "Cancelled")) throw error;
      return false;
    }
  }

  async connectAgent(id: string, signal: AbortSignal): Promise<Duplex> {
    this.#require("/moby.sshforward.v1.SSH/ForwardAgent");
    return connectAgent(this.#client, id, this.#with(signal));
  }

  async credentials(host: string, signal: AbortSignal): Promise<RegistryCredentials | undefined> {
    if (!this.#offers("/moby.filesync.v1.Auth/Credentials")) return undefined;
    const asked = host === hubConfigKey ? hubHost : host;
    try {
      const answer = await this.#client.unary(Auth.methods.Credentials, { Host: asked }, {}, this.#with(signal));
      if (answer.Username === "" && answer.Secret === "") return undefined;
      const isToken = answer.Username === "";
      return {
        username: answer.Username,
        password: isToken ? "" : answer.Secret,
        identityToken: isToken ? answer.Secret : "",
        registryToken: "",
        serverAddress: host,
      };
    } catch (error) {
      if (isAbsent(error)) return undefined;
      throw error;
    }
  }

  async sendStream(index: number, metadata: Readonly<Record<string, string>>, signal: AbortSignal): Promise<Writable> {
    this.#require("/moby.filesync.v1.FileSend/DiffCopy");
    return openOutput(this.#client, index, metadata, this.#with(signal));
  }

  async sendDirectory(
    index: number,
    path: string,
    progress: (bytes: number) => void,
    signal: AbortSignal,
  ): Promise<void> {
    this.#require("/moby.filesync.v1.FileSend/DiffCopy");
    await sendDirectory(this.#client, index, path, progress, this.#with(signal));
  }

  contentStore(id: string): ClientContentStore {
    return contentStoreOf(this.#client, id);
  }

  #with(signal: AbortSignal): AbortSignal {
    return AbortSignal.any([signal, this.gone]);
  }

  /** Header names may have been changed on their way: without any, everything is tried. */
  #offers(method: string): boolean {
    return this.#deps.methods.size === 0 || this.#deps.methods.has(method);
  }

  /** @throws NotFound */
  #require(method: string): void {
    if (!this.#offers(method)) throw new EngineError("NotFound", `method ${method} not supported by the client`);
  }

  #watch(): void {
    let failures = 0;
    const check = async (): Promise<void> => {
      try {
        await this.#client.unary(Health.methods.Check, {}, { timeoutMs: healthTimeoutMs }, this.gone);
        failures = 0;
      } catch (error) {
        if (this.gone.aborted) return;
        this.#deps.logger.debug("a build's client does not answer", {
          session: this.sessionId,
          error: messageOf(error),
        });
        if (++failures >= maxHealthFailures) {
          this.close();
          return;
        }
      }
      schedule();
    };
    const schedule = (): void => {
      const timer = setTimeout(() => void check(), healthEveryMs);
      timer.unref();
      this.gone.addEventListener("abort", () => clearTimeout(timer), { once: true });
    };
    schedule();
  }
}
