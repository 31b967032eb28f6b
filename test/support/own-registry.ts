// Our own registry (`gantry registry serve`) as a process on a loopback port with a data directory of its own, and plain
// requests to it. It can be killed and started again on the same data.

import { type ChildProcess, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { type IncomingHttpHeaders, request as httpRequest } from "node:http";
import { request as httpsRequest } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { cliArgv } from "./cli.ts";

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

export interface Call {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string | number>>;
  readonly body?: Uint8Array | string;
  /** PEM of the authority, for https. */
  readonly ca?: Buffer;
}

export const manifestType = "application/vnd.oci.image.manifest.v1+json";
export const indexType = "application/vnd.oci.image.index.v1+json";

export function digestOf(bytes: Uint8Array | string): string {
  return `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
}

/** One request on a connection of its own. */
export function call(url: string, options: Call = {}): Promise<Answer> {
  const { promise, resolve, reject } = Promise.withResolvers<Answer>();
  const { body, ca, headers, method = "GET" } = options;
  const request = url.startsWith("https:") ? httpsRequest : httpRequest;
  const length = body === undefined ? {} : { "content-length": Buffer.byteLength(body) };
  const sent = request(url, { method, agent: false, headers: { ...length, ...headers }, ca }, (response) => {
    const chunks: Buffer[] = [];
    response.on("data", (chunk: Buffer) => chunks.push(chunk));
    response.once("error", reject);
    response.once("end", () =>
      resolve({ status: response.statusCode ?? 0, headers: response.headers, body: Buffer.concat(chunks) }),
    );
  });
  sent.once("error", reject);
  sent.end(body);
  return promise;
}

/** The code of the first error in an answer. */
export function codeOf(answer: Answer): string {
  const { errors } = JSON.parse(answer.body.toString("utf8")) as { errors: { code: string; message: string }[] };
  return errors[0]?.code ?? "";
}

/** Uploads a blob in one request. */
export async function pushBlob(
  base: string,
  repository: string,
  bytes: Uint8Array | string,
  headers = {},
): Promise<string> {
  const digest = digestOf(bytes);
  const url = `${base}/v2/${repository}/blobs/uploads/?digest=${digest}`;
  const answer = await call(url, { method: "POST", body: bytes, headers });
  if (answer.status !== 201) throw new Error(`push of a blob: ${answer.status} ${answer.body.toString()}`);
  return digest;
}

/** A manifest of blobs that are pushed as well; with `more` fields. */
export async function pushManifest(
  base: string,
  repository: string,
  tag: string | undefined,
  blobs: { readonly config: string; readonly layers: readonly (string | Uint8Array)[] },
  more: Readonly<Record<string, unknown>> = {},
  headers: Readonly<Record<string, string>> = {},
): Promise<{ readonly digest: string; readonly bytes: Buffer; readonly answer: Answer }> {
  const describe = async (bytes: string | Uint8Array, mediaType: string): Promise<object> => ({
    mediaType,
    digest: await pushBlob(base, repository, bytes, headers),
    size: Buffer.byteLength(bytes),
  });
  const config = await describe(blobs.config, "application/vnd.oci.image.config.v1+json");
  const layers: object[] = [];
  for (const layer of blobs.layers) layers.push(await describe(layer, "application/vnd.oci.image.layer.v1.tar"));
  const bytes = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: manifestType, config, layers, ...more }));
  const digest = digestOf(bytes);
  const answer = await call(`${base}/v2/${repository}/manifests/${tag ?? digest}`, {
    method: "PUT",
    body: bytes,
    headers: { "content-type": manifestType, ...headers },
  });
  if (answer.status !== 201) throw new Error(`push of a manifest: ${answer.status} ${answer.body.toString()}`);
  return { digest, bytes, answer };
}

/** `await using registry = await OwnRegistry.start([...flags])` */
export class OwnRegistry {
  readonly dir: string;
  readonly #args: readonly string[];
  #process: ChildProcess | undefined;
  #log = "";
  /** "http://127.0.0.1:40001" */
  url = "";

  readonly #wrap: readonly string[];

  private constructor(args: readonly string[], dir: string | undefined, wrap: readonly string[]) {
    this.#wrap = wrap;
    this.dir = dir ?? mkdtempSync(join(tmpdir(), "gantry-own-registry-"));
    this.#args = args;
  }

  /**
   * @param dir  with files that the flags name; it is removed in the end
   * @param wrap argv that the program's argv is appended to
   * @throws Error it does not come up
   */
  static async start(args: readonly string[] = [], dir?: string, wrap: readonly string[] = []): Promise<OwnRegistry> {
    const registry = new OwnRegistry(args, dir, wrap);
    try {
      await registry.up();
    } catch (error) {
      await registry[Symbol.asyncDispose]();
      throw error;
    }
    return registry;
  }

  /** "127.0.0.1:40001" */
  get address(): string {
    return new URL(this.url).host;
  }

  get data(): string {
    return join(this.dir, "data");
  }

  get log(): string {
    return this.#log;
  }

  /** Resolves when the log has it. @throws Error not within a minute */
  async logged(pattern: RegExp): Promise<void> {
    const deadline = performance.now() + 60_000;
    while (!pattern.test(this.#log)) {
      if (performance.now() > deadline) throw new Error(`${String(pattern)} is not in the log: ${this.#log}`);
      await sleep(20);
    }
  }

  get pid(): number {
    return this.#process?.pid ?? 0;
  }

  /** Starts it, again on the same port. */
  async up(): Promise<void> {
    const port = this.url === "" ? "0" : new URL(this.url).port;
    const own = ["registry", "serve", "--data", this.data, "--listen", `127.0.0.1:${port}`];
    const [file = "", ...args] = [...this.#wrap, ...cliArgv(), ...own, ...this.#args];
    const child = spawn(file, args, { stdio: ["ignore", "ignore", "pipe"] });
    this.#process = child;
    const before = this.#log.length;
    child.stderr.on("data", (chunk: Buffer) => (this.#log += chunk.toString("utf8")));
    const deadline = performance.now() + 60_000;
    for (;;) {
      const url = /msg="registry is served" url="([^"]+)"/.exec(this.#log.slice(before))?.[1];
      if (url !== undefined) {
        this.url = url;
        return;
      }
      if (performance.now() > deadline || child.exitCode !== null)
        throw new Error(`the registry did not come up: ${this.#log}`);
      await sleep(20);
    }
  }

  /** Ends it; resolves with the exit code, or null when a signal did it. */
  async down(signal: NodeJS.Signals = "SIGTERM"): Promise<number | null> {
    const child = this.#process;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return child?.exitCode ?? null;
    const exited = new Promise<number | null>((resolve) => void child.once("exit", resolve));
    child.kill(signal);
    return exited;
  }

  signal(signal: NodeJS.Signals): void {
    this.#process?.kill(signal);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.down("SIGKILL");
    rmSync(this.dir, { recursive: true, force: true });
  }
}
