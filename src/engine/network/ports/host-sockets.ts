// Which ports of the host programs have, and which the kernel gives to those that ask for any. Asked only where the engine chooses
// a port itself; the shim's bind has the last word. Sources: proc_pid_net(5), Documentation/networking/proc_net_tcp.rst, ip-sysctl.rst.

import { readFileSync } from "node:fs";
import type { PortProtocol } from "./index.ts";

/** What the choice of a port needs to know of the host. */
export interface HostSockets {
  /** First and last port that the kernel gives to programs which ask for any. */
  ephemeralRange(): readonly [first: number, last: number];
  /** Whether a program has the port, on any address. */
  isTaken(protocol: PortProtocol, port: number): boolean;
}

const defaultRange = [32768, 60999] as const;

/** How long a reading of /proc/net serves: a hundred starts at once read it once. */
const freshMs = 1000;

/** TIME_WAIT: the past, which a listener may ignore. */
const timeWait = "06";

function readOr(path: string): string {
  try {
    return readFileSync(path, "latin1");
  } catch {
    return ""; // without IPv6, or without /proc/net/sctp
  }
}

/** Local ports of a table: `sl local_address:PORT rem_address:PORT st …`, in hex. */
export function parseSocketTable(text: string): ReadonlySet<number> {
  const ports = new Set<number>();
  for (const [, port = "", state = ""] of text.matchAll(
    /^ *\d+: [0-9A-F]+:([0-9A-F]{4}) [0-9A-F]+:[0-9A-F]{4} (\w\w)/gm,
  ))
    if (state !== timeWait) ports.add(Number.parseInt(port, 16));
  return ports;
}

export function parseEphemeralRange(text: string): readonly [number, number] {
  const [, first = "", last = ""] = /^(\d+)\s+(\d+)/.exec(text) ?? [];
  return first === "" || Number(first) < 1 || Number(last) > 65535 || Number(last) < Number(first)
    ? defaultRange
    : [Number(first), Number(last)];
}

/** The sockets of the network namespace that this process is in. */
export function createHostSockets(): HostSockets {
  const tables = new Map<PortProtocol, { readonly atMs: number; readonly ports: ReadonlySet<number> }>();
  return {
    ephemeralRange: () => parseEphemeralRange(readOr("/proc/sys/net/ipv4/ip_local_port_range")),
    isTaken(protocol, port) {
      let table = tables.get(protocol);
      const now = performance.now();
      if (table === undefined || now - table.atMs > freshMs) {
        const text = `${readOr(`/proc/net/${protocol}`)}\n${readOr(`/proc/net/${protocol}6`)}`;
        table = { atMs: now, ports: parseSocketTable(text) };
        tables.set(protocol, table);
      }
      return table.ports.has(port);
    },
  };
}
