// Debian's docker-registry (package docker-registry) on a loopback port, with a data directory of its own; optionally in a
// network namespace, with htpasswd or TLS. Images get in by plain HTTP (pushImage), or with skopeo or podman from outside.

import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { type RequestOptions, request as httpRequest } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { gzipSync, zstdCompressSync } from "node:zlib";
import { configOf, sha256 } from "./image-archives.ts";

export interface TestRegistryOptions {
  /** Network namespace (a name in /run/netns) to run in; the host's without it. */
  readonly netns?: string;
  readonly user?: { readonly name: string; readonly password: string };
  /** HTTPS with a certificate of its own making for localhost and 127.0.0.1; see `certificate`. */
  readonly tls?: boolean;
  /** More environment for docker-registry: REGISTRY_… overrides its configuration. */
  readonly env?: Readonly<Record<string, string>>;
}

export interface RegistryAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: Buffer;
}

/** One layer of an image to push. */
export interface TestLayer {
  readonly tar: Uint8Array;
  /** gzip unless given. */
  readonly compression?: "gzip" | "zstd" | "none";
  /** In place of the one that fits the compression. */
  readonly mediaType?: string;
}

export interface TestImage {
  readonly layers: readonly TestLayer[];
  /** More fields of the config. */
  readonly config?: Readonly<Record<string, unknown>>;
  /** Docker schema 2 instead of OCI. */
  readonly docker?: boolean;
  readonly annotations?: Readonly<Record<string, string>>;
}

export interface TestDescriptor {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
}

export interface PushedImage extends TestDescriptor {
  readonly config: TestDescriptor;
  readonly layers: readonly TestDescriptor[];
  readonly manifest: Buffer;
}

// Forwards a Unix socket to the registry's port, inside its network namespace.
const forwarder = `
const net = require("node:net");
net.createServer({ allowHalfOpen: true }, (client) => {
  const server = net.connect({ port: Number(process.argv[1]), host: "127.0.0.1", allowHalfOpen: true });
  client.on("error", () => server.destroy());
  server.on("error", () => client.destroy());
  client.pipe(server).pipe(client);
}).listen(process.argv[2], () => console.log("ready"));
process.stdin.resume().on("end", () => process.exit());
`;

/** A running registry; use it as `await using registry = await TestRegistry.start()`. */
export class TestRegistry {
  /** Everything of it is in here; `data` is what it keeps. */
  readonly dir: string;
  readonly user: { readonly name: string; readonly password: string } | undefined;
  /** PEM file of its certificate, with TLS. */
  readonly certificate: string | undefined;
  readonly #options: TestRegistryOptions;
  readonly #logFile: string;
  #process: ChildProcess | undefined;
  #forwarder: ChildProcess | undefined;
  #port = 0;

  private constructor(options: TestRegistryOptions) {
    this.#options = options;
    this.user = options.user;
    this.dir = mkdtempSync(join(tmpdir(), "gantry-registry-"));
    this.#logFile = join(this.dir, "log");
    this.certificate = options.tls === true ? join(this.dir, "certificate.pem") : undefined;
    mkdirSync(join(this.dir, "data"));
  }

  /** @throws Error it is not installed, or does not come up: its log is in the message */
  static async start(options: TestRegistryOptions = {}): Promise<TestRegistry> {
    const registry = new TestRegistry(options);
    try {
      registry.#writeConfig();
      await registry.up();
    } catch (error) {
      await registry[Symbol.asyncDispose]();
      throw error;
    }
    return registry;
  }

  /** "127.0.0.1:5000": what an image's name begins with. */
  get address(): string {
    return `127.0.0.1:${this.#port}`;
  }

  get port(): number {
    return this.#port;
  }

  /** Its log: JSON lines, and one line in Apache's combined format for each request. */
  get log(): string {
    return existsSync(this.#logFile) ? readFileSync(this.#logFile, "utf8") : "";
  }

  /** The requests so far, oldest first. */
  get requests(): readonly {
    readonly method: string;
    readonly path: string;
    readonly status: number;
    bytes: number;
  }[] {
    return [...this.log.matchAll(/^\S+ - \S+ \[[^\]]*\] "(\S+) (\S+) [^"]*" (\d+) (\d+)/gm)].map(
      ([, method = "", path = "", status, bytes]) => ({ method, path, status: Number(status), bytes: Number(bytes) }),
    );
  }

  /** Starts it, after `down` on the same port and with the same data. */
  async up(): Promise<void> {
    const { netns, env } = this.#options;
    const enter = netns === undefined ? [] : ["nsenter", `--net=/run/netns/${netns}`];
    const before = this.log.length;
    const command = [...enter, "sh", "-c", 'exec "$0" "$@" >>"$LOG" 2>&1', "docker-registry", "serve"];
    const [file, ...args] = [...command, join(this.dir, "config.yml")];
    this.#process = spawn(file, args, {
      stdio: "ignore",
      env: {
        PATH: process.env["PATH"],
        LOG: this.#logFile,
        OTEL_TRACES_EXPORTER: "none",
        REGISTRY_HTTP_ADDR: this.address,
        ...env,
      },
    });
    this.#process.on("error", () => undefined);
    await this.#until(() => {
      const port = /listening on 127\.0\.0\.1:(\d+)/.exec(this.log.slice(before))?.[1];
      if (port === undefined) return false;
      this.#port = Number(port);
      return true;
    });
    if (netns !== undefined && this.#forwarder === undefined) await this.#startForwarder(netns);
  }

  /** Ends it; connections break. */
  async down(): Promise<void> {
    await end(this.#process);
    this.#process = undefined;
  }

  /** One request to it, with its user's password; `path` from "/v2/" on. */
  request(method: string, path: string, options: RequestOptions = {}, body?: Uint8Array): Promise<RegistryAnswer> {
    if (this.certificate !== undefined) throw new Error("a registry with TLS is to be filled with skopeo");
    const { promise, resolve, reject } = Promise.withResolvers<RegistryAnswer>();
    const where = this.#options.netns === undefined ? { host: "127.0.0.1", port: this.#port } : this.#socket;
    const auth = this.user === undefined ? {} : { auth: `${this.user.name}:${this.user.password}` };
    const req = httpRequest({ ...where, ...auth, agent: false, method, path, ...options }, (res) => {
      const chunks: Buffer[] = [];
      res.on("data", (chunk: Buffer) => chunks.push(chunk));
      res.on("error", reject);
      res.on("end", () => resolve({ status: res.statusCode ?? 0, headers: res.headers, body: Buffer.concat(chunks) }));
    });
    req.on("error", reject);
    req.end(body);
    return promise;
  }

  async pushBlob(repository: string, bytes: Uint8Array): Promise<string> {
    const digest = `sha256:${sha256(bytes)}`;
    if ((await this.request("HEAD", `/v2/${repository}/blobs/${digest}`)).status === 200) return digest;
    const begun = await this.request("POST", `/v2/${repository}/blobs/uploads/`);
    const { pathname, search } = new URL(String(begun.headers["location"]), "http://registry");
    const target = `${pathname}${search}${search === "" ? "?" : "&"}digest=${digest}`;
    const headers = { "content-type": "application/octet-stream", "content-length": bytes.length };
    const put = await this.request("PUT", target, { headers }, bytes);
    if (put.status !== 201) throw new Error(`push of a blob: ${put.status} ${put.body.toString()}`);
    return digest;
  }

  /** @param tag undefined stores it by its digest alone */
  async pushManifest(
    repository: string,
    tag: string | undefined,
    bytes: Uint8Array,
    mediaType: string,
  ): Promise<TestDescriptor> {
    const digest = `sha256:${sha256(bytes)}`;
    const headers = { "content-type": mediaType, "content-length": bytes.length };
    const put = await this.request("PUT", `/v2/${repository}/manifests/${tag ?? digest}`, { headers }, bytes);
    if (put.status !== 201) throw new Error(`push of a manifest: ${put.status} ${put.body.toString()}`);
    return { mediaType, digest, size: bytes.length };
  }

  /** Builds an image and pushes it: blobs, config, manifest. */
  async pushImage(repository: string, tag: string | undefined, image: TestImage): Promise<PushedImage> {
    const docker = image.docker ?? false;
    const layers: TestDescriptor[] = [];
    for (const layer of image.layers) {
      const { bytes, mediaType } = encodeLayer(layer, docker);
      layers.push({ mediaType, digest: await this.pushBlob(repository, bytes), size: bytes.length });
    }
    const configBytes = configOf(
      image.layers.map(({ tar }) => tar),
      image.config,
    );
    const config = {
      mediaType: docker ? "application/vnd.docker.container.image.v1+json" : "application/vnd.oci.image.config.v1+json",
      digest: await this.pushBlob(repository, configBytes),
      size: configBytes.length,
    };
    const mediaType = docker
      ? "application/vnd.docker.distribution.manifest.v2+json"
      : "application/vnd.oci.image.manifest.v1+json";
    const { annotations } = image;
    const document = { schemaVersion: 2, mediaType, config, layers, ...(annotations && { annotations }) };
    const manifest = Buffer.from(JSON.stringify(document));
    const pushed = await this.pushManifest(repository, tag, manifest, mediaType);
    return { ...pushed, config, layers, manifest };
  }

  /** Pushes an index of what is there already; `platform` and the like go with each descriptor. */
  pushIndex(
    repository: string,
    tag: string | undefined,
    manifests: readonly (TestDescriptor & { readonly platform?: unknown; readonly annotations?: unknown })[],
    docker = false,
  ): Promise<TestDescriptor> {
    const mediaType = docker
      ? "application/vnd.docker.distribution.manifest.list.v2+json"
      : "application/vnd.oci.image.index.v1+json";
    const bytes = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType, manifests }));
    return this.pushManifest(repository, tag, bytes, mediaType);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.down();
    await end(this.#forwarder);
    rmSync(this.dir, { recursive: true, force: true });
  }

  get #socket(): { readonly socketPath: string } {
    return { socketPath: join(this.dir, "forward.sock") };
  }

  #writeConfig(): void {
    const { user } = this.#options;
    const http: Record<string, unknown> = { addr: "127.0.0.1:0", secret: "test" };
    if (this.certificate !== undefined) {
      const key = join(this.dir, "key.pem");
      const subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"];
      const files = ["-keyout", key, "-out", this.certificate];
      const args = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"];
      execFileSync("openssl", [...args, ...subject, ...files], { stdio: "ignore" });
      http["tls"] = { certificate: this.certificate, key };
    }
    const htpasswd = join(this.dir, "htpasswd");
    if (user !== undefined) writeFileSync(htpasswd, execFileSync("htpasswd", ["-nbB", user.name, user.password]));
    const config = {
      version: 0.1,
      log: { level: "info", formatter: "json" },
      storage: { filesystem: { rootdirectory: join(this.dir, "data") }, delete: { enabled: true } },
      http,
      ...(user === undefined ? {} : { auth: { htpasswd: { realm: "test", path: htpasswd } } }),
    };
    // JSON is YAML.
    writeFileSync(join(this.dir, "config.yml"), JSON.stringify(config));
  }

  async #startForwarder(netns: string): Promise<void> {
    const { socketPath } = this.#socket;
    const command = [`--net=/run/netns/${netns}`, process.execPath, "-e", forwarder, `${this.#port}`, socketPath];
    this.#forwarder = spawn("nsenter", command, { stdio: ["pipe", "ignore", "ignore"] });
    await this.#until(() => existsSync(socketPath));
  }

  async #until(condition: () => boolean): Promise<void> {
    const deadline = performance.now() + 60_000;
    while (!condition()) {
      if (performance.now() > deadline || this.#process?.exitCode !== null)
        throw new Error(`docker-registry did not come up (apt-get install docker-registry):\n${this.log.slice(-2000)}`);
      await sleep(20);
    }
  }
}

const layerTypes = {
  oci: {
    gzip: "application/vnd.oci.image.layer.v1.tar+gzip",
    zstd: "application/vnd.oci.image.layer.v1.tar+zstd",
    none: "application/vnd.oci.image.layer.v1.tar",
  },
  docker: {
    gzip: "application/vnd.docker.image.rootfs.diff.tar.gzip",
    zstd: "application/vnd.docker.image.rootfs.diff.tar.zstd",
    none: "application/vnd.docker.image.rootfs.diff.tar",
  },
} as const;

function encodeLayer(layer: TestLayer, docker: boolean): { readonly bytes: Uint8Array; readonly mediaType: string } {
  const compression = layer.compression ?? "gzip";
  const mediaType = layer.mediaType ?? layerTypes[docker ? "docker" : "oci"][compression];
  if (compression === "none") return { bytes: layer.tar, mediaType };
  return { bytes: compression === "gzip" ? gzipSync(layer.tar) : zstdCompressSync(layer.tar), mediaType };
}

async function end(child: ChildProcess | undefined): Promise<void> {
  if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
  const exited = new Promise((resolve) => void child.once("exit", resolve));
  child.kill("SIGKILL");
  await exited;
}
