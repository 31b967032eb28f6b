// What the registries' client is told of the daemon's configuration, and what `docker info` shows of it. Directives are checked
// and brought into their normal form here, in dockerd's words.

import { isIP } from "node:net";
import { EngineError } from "../../base/errors.ts";
import { type DistributionConfig, maskCredentials } from "../../distribution/index.ts";
import type { IndexInfo, SystemInfo } from "../../spec/docker/system.ts";
import type { DaemonConfig } from "./config.ts";

/** Certificates of registries; the first that has a directory for the host counts. */
const certsDirectories = ["/etc/gantry/certs.d", "/etc/docker/certs.d"] as const;
const stallTimeoutMs = 30_000;
/** What the directives' 0 means: no limit. */
const unlimitedTransfers = 1024;

type Environment = Readonly<Record<string, string | undefined>>;

function invalid(message: string): EngineError {
  return new EngineError("InvalidParameter", message);
}

/**
 * A mirror's URL, with a slash at its end.
 *
 * @throws InvalidParameter
 */
export function parseMirror(text: string): string {
  const scheme = /^([a-z][a-z0-9+.-]*):\/\//i.exec(text)?.[1]?.toLowerCase();
  if (scheme === undefined)
    throw invalid(`invalid mirror: no scheme specified for "${text}": must use either 'https://' or 'http://'`);
  if (scheme !== "http" && scheme !== "https")
    throw invalid(
      `invalid mirror: unsupported scheme "${scheme}" in "${text}": must use either 'https://' or 'http://'`,
    );
  if (!URL.canParse(text)) throw invalid(`invalid mirror: "${text}" is not a valid URI`);
  const url = new URL(text);
  if (url.search !== "" || url.hash !== "" || /[?#]/.test(text))
    throw invalid(`invalid mirror: query or fragment at end of the URI "${text}"`);
  if (url.username !== "" || url.password !== "")
    throw invalid(`invalid mirror: username/password not allowed in URI "${maskCredentials(text)}"`);
  return `${text.replace(/\/$/, "")}/`;
}

function isNetwork(text: string): boolean {
  const [address = "", prefix = "", ...rest] = text.split("/");
  const family = isIP(address);
  return rest.length === 0 && family !== 0 && /^\d{1,3}$/.test(prefix) && Number(prefix) <= (family === 4 ? 32 : 128);
}

function checkHostPort(text: string): void {
  const refuse = (why: string): EngineError => invalid(`insecure registry ${text} is not valid: ${why}`);
  const match = /^(?:\[([^\]]*)\]|([^:]*))(?::([^:]*))?$/.exec(text);
  const host = match?.[1] ?? match?.[2] ?? text;
  const isName = /^[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?(?::\d*)?$/.test(text);
  if (!isName && isIP(host) === 0) throw refuse(`invalid host "${host}"`);
  const port = match?.[3] ?? "";
  if (port !== "" && Number(port) > 65535) throw refuse(`invalid port "${port}"`);
}

/**
 * host[:port] or a network, without a scheme.
 *
 * @throws InvalidParameter
 */
export function parseInsecureRegistry(text: string): string {
  const bare = text.replace(/^https?:\/\//i, "");
  if (bare.includes("://")) throw invalid(`insecure registry ${text} should not contain '://'`);
  if (bare.startsWith("-") || bare.endsWith("-"))
    throw invalid(`invalid index name (${bare}). Cannot begin or end with a hyphen`);
  if (isNetwork(bare)) return bare;
  checkHostPort(bare);
  return bare === "index.docker.io" ? "docker.io" : bare;
}

/** The proxies in force: the directives, and where there is none, the daemon's environment. */
export function proxiesOf(
  config: DaemonConfig,
  environment: Environment,
): { readonly httpProxy: string; readonly httpsProxy: string; readonly noProxy: string } {
  const pick = (directive: string, name: string): string =>
    directive || (environment[name] ?? "") || (environment[name.toLowerCase()] ?? "");
  return {
    httpProxy: pick(config.httpProxy, "HTTP_PROXY"),
    httpsProxy: pick(config.httpsProxy, "HTTPS_PROXY"),
    noProxy: pick(config.noProxy, "NO_PROXY"),
  };
}

/**
 * For the client; asked anew for every operation.
 *
 * @param version of Gantry, for User-Agent
 */
export function distributionConfig(
  config: DaemonConfig,
  version: string,
  environment: Environment = process.env,
): DistributionConfig {
  return {
    mirrors: config.registryMirrors,
    insecureRegistries: config.insecureRegistries,
    certsDirectories,
    ...proxiesOf(config, environment),
    userAgent: `gantry/${version}`,
    maxAttempts: Math.max(1, config.maxDownloadAttempts),
    stallTimeoutMs,
  };
}

/** How many layers go at once, and how often one is tried, for images/. */
export function transferLimits(config: DaemonConfig): {
  readonly maxConcurrentDownloads: number;
  readonly maxConcurrentUploads: number;
  readonly maxDownloadAttempts: number;
} {
  return {
    maxConcurrentDownloads: config.maxConcurrentDownloads || unlimitedTransfers,
    maxConcurrentUploads: config.maxConcurrentUploads || unlimitedTransfers,
    maxDownloadAttempts: Math.max(1, config.maxDownloadAttempts),
  };
}

/** The network of a CIDR: 10.1.2.3/8 is 10.0.0.0/8. IPv6 is shown as it was written. */
function networkOf(cidr: string): string {
  const [address = "", prefix = ""] = cidr.split("/");
  if (isIP(address) !== 4) return cidr;
  const bits = Number(prefix);
  const value = address.split(".").reduce((sum, part) => sum * 256 + Number(part), 0);
  const size = 2 ** (32 - bits);
  const base = Math.floor(value / size) * size;
  return `${[24, 16, 8, 0].map((shift) => Math.floor(base / 2 ** shift) % 256).join(".")}/${prefix}`;
}

/** The registries' part of GET /info, credentials masked. */
export function renderRegistryInfo(
  config: DaemonConfig,
  environment: Environment = process.env,
): Pick<SystemInfo, "RegistryConfig" | "HttpProxy" | "HttpsProxy" | "NoProxy"> {
  const mirrors = [...new Set(config.registryMirrors)];
  const networks = config.insecureRegistries.filter(isNetwork).map(networkOf);
  const hosts = config.insecureRegistries.filter((entry) => !isNetwork(entry) && entry !== "docker.io");
  const indexes: readonly (readonly [string, IndexInfo])[] = [
    ...hosts.map((host) => [host, { Name: host, Mirrors: [], Secure: false, Official: false }] as const),
    ["docker.io", { Name: "docker.io", Mirrors: mirrors, Secure: true, Official: true }],
  ];
  const proxies = proxiesOf(config, environment);
  return {
    RegistryConfig: {
      IndexConfigs: Object.fromEntries(indexes.toSorted(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0))),
      InsecureRegistryCIDRs: [...new Set([...networks, "::1/128", "127.0.0.0/8"])],
      Mirrors: mirrors.length > 0 ? mirrors : null,
    },
    HttpProxy: maskCredentials(proxies.httpProxy),
    HttpsProxy: maskCredentials(proxies.httpsProxy),
    NoProxy: proxies.noProxy,
  };
}
