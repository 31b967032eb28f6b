// The registry that a cache stands in front of: its repositories through the client of src/distribution, and for a moment after
// it was not reached, the knowledge that it is not.

import { EngineError, isEngineError, messageOf } from "../../base/errors.ts";
import type { Logger } from "../../base/log.ts";
import { createDistribution, type Credentials, type Distribution, type Repository } from "../../distribution/index.ts";
import { ClientGone, RegistryError } from "../errors.ts";

export interface UpstreamOptions {
  /** "https://registry-1.docker.io"; with http:// its certificates are not verified either. */
  readonly url: string;
  readonly username: string;
  readonly password: () => string;
  /** Environment with HTTP_PROXY, HTTPS_PROXY, NO_PROXY. */
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly userAgent: string;
}

export interface Upstream {
  /** @throws UNAVAILABLE not reached */
  repository(path: string, signal: AbortSignal): Promise<Repository>;
  /**
   * Runs a question to the upstream.
   *
   * @returns undefined when the upstream has no such thing, or does not let this cache see it
   * @throws UNAVAILABLE not reached, now or a moment ago
   */
  ask<T>(
    path: string,
    question: (repository: Repository) => Promise<T | undefined>,
    signal: AbortSignal,
  ): Promise<T | undefined>;
  close(): void;
}

const keepMs = 10 * 60_000;
const maxKept = 500;
const offlineMs = 30_000;
const dockerHosts = new Set(["registry-1.docker.io", "index.docker.io", "docker.io"]);

/** The registry's domain in references. @throws InvalidParameter no http(s) URL of a registry */
export function parseUpstream(text: string): { readonly domain: string; readonly insecure: boolean } {
  const url = URL.parse(text);
  if (url === null || !/^https?:$/.test(url.protocol) || url.username !== "" || !/^\/(?:v2\/?)?$/.test(url.pathname))
    throw new EngineError(
      "InvalidParameter",
      `${JSON.stringify(text)} is no URL of a registry, as https://registry.example.com`,
    );
  const host = url.port === "" && url.protocol === "http:" ? `${url.host}:80` : url.host;
  return { domain: dockerHosts.has(url.host) ? "docker.io" : host, insecure: url.protocol === "http:" };
}

function proxyOf(env: UpstreamOptions["env"], name: string): string {
  return env[name] ?? env[name.toLowerCase()] ?? "";
}

function connect(options: UpstreamOptions, domain: string, insecure: boolean, logger: Logger): Distribution {
  return createDistribution({
    config: () => ({
      mirrors: [],
      insecureRegistries: insecure ? [domain] : [],
      certsDirectories: ["/etc/docker/certs.d", "/etc/containers/certs.d"],
      httpProxy: proxyOf(options.env, "HTTP_PROXY"),
      httpsProxy: proxyOf(options.env, "HTTPS_PROXY"),
      noProxy: proxyOf(options.env, "NO_PROXY"),
      userAgent: options.userAgent,
      maxAttempts: 3,
      stallTimeoutMs: 20_000,
    }),
    logger,
  });
}

/** Nothing is connected to yet. @throws InvalidParameter the URL is none */
export function createUpstream(options: UpstreamOptions, logger: Logger): Upstream {
  const { domain, insecure } = parseUpstream(options.url);
  const distribution = connect(options, domain, insecure, logger);
  const kept = new Map<string, { readonly repository: Repository; readonly until: number }>();
  let offlineUntil = 0;
  let offlineWhy = "";

  function credentials(): Credentials | undefined {
    if (options.username === "") return undefined;
    const password = options.password();
    return { username: options.username, password, identityToken: "", registryToken: "", serverAddress: domain };
  }

  function failed(path: string, error: unknown): RegistryError {
    kept.delete(path);
    if (error instanceof RegistryError) return error;
    const why = messageOf(error);
    if (isEngineError(error, "Unavailable")) {
      if (performance.now() >= offlineUntil)
        logger.warn("the upstream cannot be reached", { upstream: domain, error: why });
      offlineUntil = performance.now() + offlineMs;
      offlineWhy = why;
    } else logger.warn("the upstream refuses", { upstream: domain, repository: path, error: why });
    return new RegistryError("UNAVAILABLE", `the upstream ${domain} does not serve this now: ${why}`, { cause: error });
  }

  async function open(path: string, signal: AbortSignal): Promise<Repository> {
    const now = performance.now();
    if (now < offlineUntil)
      throw new RegistryError("UNAVAILABLE", `the upstream ${domain} cannot be reached: ${offlineWhy}`);
    const known = kept.get(path);
    if (known !== undefined && now < known.until) return known.repository;
    const named = { domain, path, tag: undefined, digest: undefined };
    const repository = await distribution.repository(named, "pull", credentials(), signal);
    const [oldest] = kept.keys();
    if (kept.size >= maxKept && oldest !== undefined) kept.delete(oldest);
    kept.set(path, { repository, until: now + keepMs });
    return repository;
  }

  return {
    async repository(path, signal) {
      try {
        return await open(path, signal);
      } catch (error) {
        throw failed(path, error);
      }
    },
    async ask(path, question, signal) {
      try {
        return await question(await open(path, signal));
      } catch (error) {
        if (isEngineError(error, "NotFound") || isEngineError(error, "Forbidden")) return undefined;
        throw signal.aborted ? new ClientGone(error) : failed(path, error);
      }
    },
    close: () => distribution.close(),
  };
}
