// What of resolv.conf goes to the name server at 127.0.0.11 instead of the container: the servers that it asks.

import { readFileSync } from "node:fs";
import { errnoOf } from "../../base/errors.ts";
import type { HostConfig } from "../../spec/docker/container.ts";
import type { NetworkRequest } from "./index.ts";
import { hasNdots, parseResolvConf, type ResolvConf } from "./resolv-conf.ts";
import type { NetworkRoom } from "./room.ts";

function firstFilled(asked: readonly string[] | null | undefined, otherwise: readonly string[]): readonly string[] {
  return asked === undefined || asked === null || asked.length === 0 ? otherwise : asked;
}

/** What a container asks for, or the daemon for it. */
export function askedResolvConf(room: NetworkRoom, { Dns, DnsSearch, DnsOptions }: HostConfig): ResolvConf {
  const { dns, dnsSearch, dnsOptions } = room.deps.config;
  return {
    nameservers: firstFilled(Dns, dns),
    search: firstFilled(DnsSearch, dnsSearch),
    options: firstFilled(DnsOptions, dnsOptions),
  };
}

/** The host's own; empty where it has none. @throws System it cannot be read */
export function readHostResolvConf(path = "/etc/resolv.conf"): ResolvConf {
  try {
    return parseResolvConf(readFileSync(path, "utf8"));
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return parseResolvConf("");
    throw error;
  }
}

/** Servers are asked from the host's namespace, so that its own loopback is one of them. */
export function planServers(
  room: NetworkRoom,
  { hostConfig }: NetworkRequest,
): { readonly servers: readonly string[]; readonly ndotsSet: boolean } {
  const asked = askedResolvConf(room, hostConfig);
  const host = readHostResolvConf();
  return {
    servers: asked.nameservers.length > 0 ? asked.nameservers : host.nameservers,
    ndotsSet: hasNdots(asked.options),
  };
}
