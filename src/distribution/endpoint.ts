// The endpoints of a registry, in the order in which they are tried: mirrors of docker.io, then the registry with HTTPS, then,
// where it is insecure, with HTTP. Which registries are insecure is decided as dockerd does.

import { lookup } from "node:dns/promises";
import { BlockList, isIP } from "node:net";
import type { DistributionConfig } from "./index.ts";

export interface Endpoint {
  /** Base without a trailing slash; "/v2/" follows. */
  readonly url: URL;
  readonly isMirror: boolean;
  /** Certificates are not verified, and plain HTTP is not refused. */
  readonly insecure: boolean;
}

/** docker.io's registry; its name in references is another. */
const officialRegistry = "https://registry-1.docker.io";
const loopback: readonly string[] = ["127.0.0.0/8", "::1/128"];

/** True for docker.io by any of its names. */
export function isOfficial(domain: string): boolean {
  return domain === "docker.io" || domain === "index.docker.io";
}

function splitHost(hostPort: string): string {
  const bracketed = /^\[([^\]]*)\]/.exec(hostPort);
  return bracketed === null ? hostPort.replace(/:\d+$/, "") : (bracketed[1] ?? "");
}

function isNetwork(entry: string): boolean {
  return /^[0-9a-fA-F.:]+\/\d{1,3}$/.test(entry);
}

function contains(networks: readonly string[], address: string): boolean {
  const family = isIP(address);
  if (family === 0) return false;
  return networks.some((network) => {
    const [base = "", prefix = ""] = network.split("/");
    if (isIP(base) !== family || Number(prefix) > (family === 4 ? 32 : 128)) return false;
    const list = new BlockList();
    const type = family === 4 ? "ipv4" : "ipv6";
    list.addSubnet(base, Number(prefix), type);
    return list.check(address, type);
  });
}

async function addressesOf(host: string): Promise<readonly string[]> {
  if (isIP(host) !== 0) return [host];
  try {
    return (await lookup(host, { all: true })).map(({ address }) => address);
  } catch {
    return [];
  }
}

/**
 * Whether a registry is insecure: named so, or with an address in a network that is (its name is looked up, as dockerd does).
 *
 * @param hostPort as in references
 */
export async function isInsecure(hostPort: string, insecureRegistries: readonly string[]): Promise<boolean> {
  if (insecureRegistries.includes(hostPort)) return true;
  const networks = [...insecureRegistries.filter(isNetwork), ...loopback];
  const addresses = await addressesOf(splitHost(hostPort));
  return addresses.some((address) => contains(networks, address));
}

function baseUrl(text: string): URL {
  return new URL(text.replace(/\/+$/, ""));
}

/** Every endpoint of a registry. Names are looked up. */
export async function planEndpoints(
  domain: string,
  access: "pull" | "push",
  config: Pick<DistributionConfig, "mirrors" | "insecureRegistries">,
): Promise<readonly Endpoint[]> {
  if (isOfficial(domain)) {
    const mirrors = access === "pull" ? config.mirrors : [];
    const planned = await Promise.all(
      mirrors.map(async (mirror) => {
        const url = baseUrl(mirror);
        const insecure = url.protocol === "http:" || (await isInsecure(url.host, config.insecureRegistries));
        return { url, isMirror: true, insecure };
      }),
    );
    return [...planned, { url: baseUrl(officialRegistry), isMirror: false, insecure: false }];
  }
  const insecure = await isInsecure(domain, config.insecureRegistries);
  const secureUrl = { url: baseUrl(`https://${domain}`), isMirror: false, insecure };
  return insecure ? [secureUrl, { ...secureUrl, url: baseUrl(`http://${domain}`) }] : [secureUrl];
}

/** Where a path below /v2/ is. */
export function urlOf(endpoint: Endpoint, path: string): URL {
  return new URL(`${endpoint.url.href.replace(/\/+$/, "")}/v2/${path}`);
}
