// What a client says about ports, made typed: keys of ExposedPorts and PortBindings, host ports and ranges, addresses of the host.
// Pure. Source: dockerd 28 (texts and what it takes), Engine API 1.51, PortMap. dockerd publishes on all addresses where it cannot
// read HostIp, and on the first number of "1-2-3"; here both are refused.

import { isIP, SocketAddress } from "node:net";
import type { ContainerConfig, HostConfig, PortMap } from "../../../spec/docker/container.ts";
import type { PortProtocol } from "./index.ts";

/** A port of a container. */
export interface ContainerPort {
  /** 1–65535 */
  readonly port: number;
  readonly protocol: PortProtocol;
}

/** One binding as it was asked for. */
export interface PortWish extends ContainerPort {
  /** Canonical; "" where none was named. */
  readonly hostIp: string;
  /** First and last; undefined for any port of the ephemeral range. */
  readonly hostRange: readonly [first: number, last: number] | undefined;
}

function parseNumber(text: string): number | undefined {
  return /^\d{1,8}$/.test(text) && Number(text) <= 65535 ? Number(text) : undefined;
}

/** "80", "8000-8010". Undefined: it is neither, or runs backwards. */
function parseRange(text: string): readonly [number, number] | undefined {
  const [low = "", high = low, ...more] = text.split("-");
  const first = parseNumber(low);
  const last = parseNumber(high);
  return more.length > 0 || first === undefined || last === undefined || last < first ? undefined : [first, last];
}

function parseProtocol(text: string): PortProtocol | undefined {
  const lower = text.toLowerCase();
  if (lower === "") return "tcp";
  return lower === "tcp" || lower === "udp" || lower === "sctp" ? lower : undefined;
}

/** "80", "80/tcp", "80/UDP". @returns the port, or what is wrong with it */
export function parsePortKey(key: string): ContainerPort | { readonly complaint: string } {
  const [number = "", word = "", ...more] = key.split("/");
  const port = parseNumber(number);
  if (port === undefined || port === 0) return { complaint: `invalid port specification: ${JSON.stringify(number)}` };
  const protocol = parseProtocol(word);
  if (protocol === undefined || more.length > 0)
    return { complaint: `invalid port specification: ${JSON.stringify(key)}: unknown protocol` };
  return { port, protocol };
}

/** Keys of ExposedPorts, ranges taken apart. What is none exposes nothing: images may say anything. */
export function parseExposed(keys: readonly string[]): readonly ContainerPort[] {
  return keys.flatMap((key) => {
    const [numbers = "", word = ""] = key.split("/");
    const range = parseRange(numbers);
    const protocol = parseProtocol(word);
    if (range === undefined || protocol === undefined || range[0] === 0) return [];
    return Array.from({ length: range[1] - range[0] + 1 }, (_, at) => ({ port: range[0] + at, protocol }));
  });
}

/** The one form of an address; undefined where it is none. Brackets are taken off, and IPv4 within IPv6 is IPv4. */
export function parseHostIp(text: string): string | undefined {
  const bare = text.replace(/^\[(.*)\]$/, "$1");
  const family = isIP(bare);
  if (family === 0 || bare.includes("%")) return undefined;
  if (family === 4) return bare;
  const { address } = new SocketAddress({ address: bare, family: "ipv6" });
  return /^::ffff:([\d.]+)$/.exec(address)?.[1] ?? address;
}

/** All bindings in the order of their keys' numbers, or all complaints. A key without bindings publishes nothing. */
export function parseBindings(bindings: PortMap): {
  readonly wishes: readonly PortWish[];
  readonly complaints: readonly string[];
} {
  const wishes: PortWish[] = [];
  const complaints: string[] = [];
  for (const [key, list] of Object.entries(bindings)) {
    const parsed = parsePortKey(key);
    if ("complaint" in parsed) {
      complaints.push(parsed.complaint);
      continue;
    }
    for (const { HostIp = "", HostPort = "" } of list ?? []) {
      const hostIp = HostIp === "" ? "" : parseHostIp(HostIp);
      const range = HostPort === "" ? ([0, 0] as const) : parseRange(HostPort);
      if (hostIp === undefined) complaints.push(`invalid IP address: ${HostIp}`);
      if (range === undefined || (range[0] === 0 && range[1] !== 0))
        complaints.push(`invalid port specification: ${JSON.stringify(HostPort)}`);
      else if (hostIp !== undefined) wishes.push({ ...parsed, hostIp, hostRange: range[0] === 0 ? undefined : range });
    }
  }
  return { wishes: wishes.toSorted((a, b) => a.port - b.port), complaints };
}

/** What is wrong with PortBindings; empty when all is well. */
export function complainAboutPorts(_config: ContainerConfig, hostConfig: HostConfig): readonly string[] {
  return parseBindings(hostConfig.PortBindings ?? {}).complaints;
}
