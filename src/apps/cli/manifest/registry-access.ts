// Manifests in registries, for the `manifest` commands: the client itself talks to them, with the user's credentials.

import type { Digest } from "../../../base/digest.ts";
import { EngineError } from "../../../base/errors.ts";
import { silentLogger } from "../../../base/log.ts";
import { parseNamed, withDefaultTag, type Named } from "../../../base/reference.ts";
import { createDistribution, type Distribution, type Repository } from "../../../distribution/index.ts";
import { defaultServer, findCredentials } from "../auth/credentials.ts";
import { clientVersion } from "../client-version.ts";
import { CliError, type CommandContext } from "../command.ts";
import {
  configDigestOf,
  entriesOfList,
  isListType,
  platformOfConfig,
  renderImageManifest,
  type ImageManifest,
} from "./documents.ts";

const maxConfigBytes = 8 * 1024 * 1024;

/** A reference with its tag. @throws CliError it is none, in docker's words */
export function parseManifestReference(text: string): { readonly named: Named; readonly whole: string } {
  try {
    const named = withDefaultTag(parseNamed(text));
    const { digest, domain, path, tag } = named;
    return { named, whole: `${domain}/${path}${tag ? `:${tag}` : ""}${digest ? `@${digest}` : ""}` };
  } catch (error) {
    throw new CliError((error as Error).message);
  }
}

/** What a registry has under a reference. */
export type RemoteManifest =
  | { readonly kind: "image"; readonly image: ImageManifest }
  | { readonly kind: "list"; readonly bytes: Buffer; readonly mediaType: string };

/** Connections to registries for one command. */
export class RegistryAccess implements Disposable {
  readonly #context: CommandContext;
  readonly #distribution: Distribution;
  readonly #signal = new AbortController().signal;

  /** @param insecure hosts whose certificates are not verified, and that may speak plain HTTP */
  constructor(context: CommandContext, insecure: readonly string[]) {
    this.#context = context;
    const { env } = context;
    const pick = (name: string): string => env[name] || env[name.toLowerCase()] || "";
    this.#distribution = createDistribution({
      config: () => ({
        mirrors: [],
        insecureRegistries: insecure,
        certsDirectories: ["/etc/gantry/certs.d", "/etc/docker/certs.d"],
        httpProxy: pick("HTTP_PROXY"),
        httpsProxy: pick("HTTPS_PROXY"),
        noProxy: pick("NO_PROXY"),
        userAgent: `Gantry-Client/${clientVersion} (linux)`,
        maxAttempts: 3,
        stallTimeoutMs: 30_000,
      }),
      logger: silentLogger,
    });
  }

  async repository(named: Named, access: "pull" | "push"): Promise<Repository> {
    const server = named.domain === "docker.io" ? defaultServer : named.domain;
    const credentials = await findCredentials(this.#context, server);
    return this.#distribution.repository(named, access, credentials, this.#signal);
  }

  async #config(repository: Repository, digest: Digest): Promise<Buffer> {
    const chunks: Uint8Array[] = [];
    let sizeBytes = 0;
    const body = await repository.openBlob(digest, 0, this.#signal);
    for await (const chunk of body.chunks) {
      sizeBytes += chunk.length;
      if (sizeBytes > maxConfigBytes) throw new CliError(`the configuration ${digest} is larger than 8 MiB`);
      chunks.push(chunk);
    }
    return Buffer.concat(chunks);
  }

  /** @throws CliError "no such manifest: …" */
  async get(text: string): Promise<RemoteManifest> {
    const { named, whole } = parseManifestReference(text);
    try {
      const repository = await this.repository(named, "pull");
      const manifest = await repository.manifest(named.digest ?? named.tag ?? "latest", this.#signal);
      if (isListType(manifest.mediaType)) return { kind: "list", bytes: manifest.bytes, mediaType: manifest.mediaType };
      const config = await this.#config(repository, configDigestOf(manifest.bytes) as Digest);
      return { kind: "image", image: renderImageManifest(whole, manifest, platformOfConfig(config)) };
    } catch (error) {
      if (error instanceof EngineError && error.kind === "NotFound") throw new CliError(`no such manifest: ${whole}`);
      throw error;
    }
  }

  /** The images of a list, each fetched. */
  async imagesOf(text: string, list: Uint8Array): Promise<readonly ImageManifest[]> {
    const { named, whole } = parseManifestReference(text);
    const repository = await this.repository(named, "pull");
    const images: ImageManifest[] = [];
    for (const { digest, platform } of entriesOfList(list)) {
      const manifest = await repository.manifest(digest, this.#signal);
      images.push(renderImageManifest(`${whole.replace(/@.*$/, "")}@${digest}`, manifest, platform));
    }
    return images;
  }

  /** Makes a blob of another repository there: it is there already, is mounted, or copied. */
  async place(
    target: Repository,
    blob: { readonly digest: string; readonly size: number },
    from: Named,
  ): Promise<void> {
    const digest = blob.digest as Digest;
    const signal = this.#signal;
    if ((await target.statBlob(digest, signal)) !== undefined) return;
    if (await target.mountBlob(digest, from.path, signal)) return;
    const source = await this.repository(from, "pull");
    async function* open(offset: number): AsyncGenerator<Uint8Array> {
      const body = await source.openBlob(digest, offset, signal);
      let skip = offset - body.offset;
      for await (const chunk of body.chunks) {
        if (skip < chunk.length) yield chunk.subarray(skip);
        skip = Math.max(0, skip - chunk.length);
      }
    }
    await target.uploadBlob({ digest, sizeBytes: blob.size, open }, () => undefined, signal);
  }

  put(target: Repository, reference: string, bytes: Buffer, mediaType: string): Promise<Digest> {
    return target.putManifest(reference, bytes, mediaType, this.#signal);
  }

  [Symbol.dispose](): void {
    this.#distribution.close();
  }
}
