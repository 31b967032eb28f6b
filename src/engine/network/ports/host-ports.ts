// Ports of the host: chosen and reserved in memory. Two holders of a port clash where their addresses meet: the same one, or all of
// its family and one of them. IPv4 and IPv6 are apart. Chosen ports go round, as dockerd's do: one that was given back is not given
// again at once. Source: dockerd 28, libnetwork's portallocator (behaviour only).

import { isIPv6 } from "node:net";
import { EngineError } from "../../../base/errors.ts";
import type { ContainerId } from "../../../base/ids.ts";
import { createHostSockets, type HostSockets } from "./host-sockets.ts";
import type { HostPorts, PortProtocol, PortRequest, PublishedPort } from "./index.ts";
import { parseBindings, parseExposed, type PortWish } from "./parse.ts";

interface Holder {
  readonly containerId: ContainerId;
  readonly containerName: string;
  readonly hostIp: string;
}

/** Holders by "tcp/8080". */
type Held = Map<string, Holder[]>;

const all = { 4: "0.0.0.0", 6: "::" } as const;

function meet(a: string, b: string): boolean {
  if (a === b) return true;
  if (isIPv6(a) !== isIPv6(b)) return false;
  const wildcard = isIPv6(a) ? all[6] : all[4];
  return a === wildcard || b === wildcard;
}

/** The addresses of a wish. A default of 0.0.0.0 means all of both families, as dockerd's --ip does; one of "::" IPv6 alone. */
function addressesOf({ hostIp }: PortWish, { defaultHostIp, families }: PortRequest): readonly string[] {
  if (hostIp !== "") return [hostIp];
  if (defaultHostIp !== "" && defaultHostIp !== all[4]) return [defaultHostIp];
  return families.map((family) => all[family]);
}

/** What is published: what was bound, and with -P whatever is exposed besides. Fixed ports first, so that no other takes them. */
function wishesOf({ bindings, exposed, publishAll }: PortRequest): readonly PortWish[] {
  const { wishes, complaints } = parseBindings(bindings);
  if (complaints.length > 0) throw new EngineError("InvalidParameter", complaints.join("\n"));
  const bound = new Set(wishes.map(({ port, protocol }) => `${port}/${protocol}`));
  const rest = publishAll ? parseExposed(exposed) : [];
  const more = rest
    .filter(({ port, protocol }) => !bound.has(`${port}/${protocol}`))
    .map((port): PortWish => ({ ...port, hostIp: "", hostRange: undefined }));
  const rank = ({ hostRange }: PortWish): number =>
    hostRange === undefined ? 2 : hostRange[0] === hostRange[1] ? 0 : 1;
  return [...wishes, ...more].toSorted((a, b) => rank(a) - rank(b) || a.port - b.port);
}

/** @param sockets the host's own; another in tests */
export function createHostPorts(sockets: HostSockets = createHostSockets()): HostPorts {
  const held: Held = new Map();
  const portsOf = new Map<ContainerId, readonly PublishedPort[]>();
  /** Where the next choice begins, by address, protocol and range. */
  const nextOf = new Map<string, number>();

  function holderOf(protocol: PortProtocol, port: number, addresses: readonly string[]): Holder | undefined {
    return held.get(`${protocol}/${port}`)?.find(({ hostIp }) => addresses.some((address) => meet(address, hostIp)));
  }

  function hold(holder: Omit<Holder, "hostIp">, { protocol, hostPort, hostIp }: PublishedPort): void {
    const key = `${protocol}/${hostPort}`;
    const holders = held.get(key);
    if (holders === undefined) held.set(key, [{ ...holder, hostIp }]);
    else holders.push({ ...holder, hostIp });
  }

  function letGo(containerId: ContainerId): void {
    for (const { protocol, hostPort } of portsOf.get(containerId) ?? []) {
      const key = `${protocol}/${hostPort}`;
      const rest = (held.get(key) ?? []).filter((holder) => holder.containerId !== containerId);
      if (rest.length === 0) held.delete(key);
      else held.set(key, rest);
    }
    portsOf.delete(containerId);
  }

  /** A port that nobody has on any of the addresses; the same for all of them. */
  function choose({ protocol, hostRange }: PortWish, addresses: readonly string[]): number {
    const [first, last] = hostRange ?? sockets.ephemeralRange();
    if (first === last) {
      const holder = holderOf(protocol, first, addresses);
      if (holder === undefined) return first;
      throw new EngineError(
        "Conflict",
        `Bind for ${holder.hostIp}:${first} failed: port is already allocated (by container ${holder.containerName})`,
      );
    }
    const counter = `${addresses[0] ?? ""} ${protocol} ${first} ${last}`;
    const count = last - first + 1;
    const begin = nextOf.get(counter) ?? first;
    for (let step = 0; step < count; step++) {
      const port = first + ((begin - first + step) % count);
      if (holderOf(protocol, port, addresses) !== undefined || sockets.isTaken(protocol, port)) continue;
      nextOf.set(counter, port === last ? first : port + 1);
      return port;
    }
    if (hostRange === undefined) throw new EngineError("Unavailable", "all ports are allocated");
    throw new EngineError(
      "Conflict",
      `Bind for ${addresses[0] ?? ""}:${first}-${last} failed: all ports are allocated${namesIn(protocol, first, last, addresses)}`,
    );
  }

  function namesIn(protocol: PortProtocol, first: number, last: number, addresses: readonly string[]): string {
    const names = new Set<string>();
    for (let port = first; port <= last && names.size < 5; port++) {
      const holder = holderOf(protocol, port, addresses);
      if (holder !== undefined) names.add(holder.containerName);
    }
    return names.size === 0 ? "" : ` (by container ${[...names].join(", ")})`;
  }

  return {
    reserve(request) {
      const { containerId, containerName } = request;
      const ports: PublishedPort[] = [];
      const before = portsOf.get(containerId);
      const wishes = wishesOf(request);
      letGo(containerId);
      try {
        for (const wish of wishes) {
          const addresses = addressesOf(wish, request);
          if (addresses.length === 0) continue;
          const hostPort = choose(wish, addresses);
          for (const hostIp of addresses) {
            const port = { protocol: wish.protocol, hostIp, hostPort, containerPort: wish.port };
            hold({ containerId, containerName }, port);
            ports.push(port);
            portsOf.set(containerId, ports);
          }
        }
      } catch (error) {
        letGo(containerId);
        for (const port of before ?? []) hold({ containerId, containerName }, port);
        if (before !== undefined) portsOf.set(containerId, before);
        throw error;
      }
      return ports;
    },
    adopt(containerId, containerName, ports) {
      letGo(containerId);
      for (const port of ports) hold({ containerId, containerName }, port);
      portsOf.set(containerId, ports);
    },
    release: letGo,
  };
}
