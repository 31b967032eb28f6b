// What traffic is compared with: a bridge and veth pairs made by hand, without filter and without translation; and a
// neighbour of an engine's namespace, from which its published ports are used. Addresses are of TEST-NET-1 to -3 and
// 198.18.0.0/15, which nothing routes.

import { execFileSync } from "node:child_process";
import type { NamespacePath } from "./net-load.ts";

function ip(...args: readonly string[]): void {
  execFileSync("ip", args, { stdio: ["ignore", "ignore", "inherit"] });
}

function pathOf(namespace: string): NamespacePath {
  return `/run/netns/${namespace}`;
}

/** Members of a bridge at 198.18.0.0/24, and a neighbour whose packets are routed to it. */
export interface HandMade extends Disposable {
  readonly members: readonly { readonly where: NamespacePath; readonly address: string }[];
  readonly neighbour: NamespacePath;
}

export function makeByHand(): HandMade {
  const router = `bench-hand-${process.pid}`;
  const made: string[] = [];
  const add = (name: string): string => {
    ip("netns", "add", name);
    made.push(name);
    ip("-n", name, "link", "set", "lo", "up");
    return name;
  };
  const remove = (): void => {
    for (const name of made.splice(0)) ip("netns", "del", name);
  };
  try {
    add(router);
    execFileSync("nsenter", [`--net=${pathOf(router)}`, "sysctl", "-qw", "net.ipv4.ip_forward=1"]);
    ip("-n", router, "link", "add", "br0", "type", "bridge");
    ip("-n", router, "address", "add", "198.18.0.1/24", "dev", "br0");
    ip("-n", router, "link", "set", "br0", "up");
    const members = [2, 3].map((n) => {
      const name = add(`${router}-${n}`);
      ip("-n", router, "link", "add", `veth${n}`, "type", "veth", "peer", "name", "eth0", "netns", name);
      ip("-n", router, "link", "set", `veth${n}`, "master", "br0", "up");
      ip("-n", name, "address", "add", `198.18.0.${n}/24`, "dev", "eth0");
      ip("-n", name, "link", "set", "eth0", "up");
      ip("-n", name, "route", "add", "default", "via", "198.18.0.1");
      return { where: pathOf(name), address: `198.18.0.${n}` };
    });
    const neighbour = add(`${router}-out`);
    join(router, neighbour, "192.0.2");
    ip("-n", neighbour, "route", "add", "default", "via", "192.0.2.1");
    return { members, neighbour: pathOf(neighbour), [Symbol.dispose]: remove };
  } catch (error) {
    remove();
    throw error;
  }
}

/** A veth pair between two namespaces; the first has .1, the second .2. */
function join(first: string, second: string, prefix: string): void {
  ip("-n", first, "link", "add", "outside", "type", "veth", "peer", "name", "eth0", "netns", second);
  ip("-n", first, "address", "add", `${prefix}.1/24`, "dev", "outside");
  ip("-n", first, "link", "set", "outside", "up");
  ip("-n", second, "address", "add", `${prefix}.2/24`, "dev", "eth0");
  ip("-n", second, "link", "set", "eth0", "up");
}

/** A namespace beside an engine's, on a link of their own. */
export interface Neighbour extends Disposable {
  readonly where: NamespacePath;
  /** The engine's namespace, seen from there. */
  readonly engineAddress: string;
}

export function makeNeighbour(engineNamespace: string): Neighbour {
  const name = `${engineNamespace}-out`;
  ip("netns", "add", name);
  try {
    ip("-n", name, "link", "set", "lo", "up");
    join(engineNamespace, name, "198.51.100");
  } catch (error) {
    ip("netns", "del", name);
    throw error;
  }
  return { where: pathOf(name), engineAddress: "198.51.100.1", [Symbol.dispose]: () => ip("netns", "del", name) };
}
