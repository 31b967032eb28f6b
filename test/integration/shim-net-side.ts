// What the tests of the shim's networks do: wishes for a network, looks into a container's namespace, nft tables of the world.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { setTimeout as sleep } from "node:timers/promises";
import type { ShimInterface, ShimOwnNetwork } from "../../src/engine/runtime/shim.ts";
import type { ShimWorld } from "./shim-fixture.ts";

/** Bridges of the world beside the fixture's own, both with both families. */
export const bridges = [
  { name: "gbr0", mac: "02:42:0a:58:00:01", v4: "10.88.0.1/16", v6: "fd88::1/64" },
  { name: "gbr1", mac: "02:42:0a:59:00:01", v4: "10.89.0.1/16", v6: "fd89::1/64" },
] as const;

export function makeBridges(world: ShimWorld): void {
  for (const { name, mac, v4, v6 } of bridges) {
    if (name !== world.bridge) {
      world.inNet("ip", "link", "add", name, "type", "bridge");
      world.inNet("ip", "address", "add", v4, "dev", name);
    }
    world.inNet("ip", "address", "add", v6, "dev", name, "nodad");
    // A MAC of its own: otherwise it changes with the ports, and neighbours are forgotten.
    world.inNet("ip", "link", "set", name, "address", mac, "up");
  }
}

/** A network of these interfaces alone. */
export function own(interfaces: readonly ShimInterface[], more: Partial<ShimOwnNetwork> = {}): ShimOwnNetwork {
  return {
    kind: "own",
    interfaces,
    gateway4: undefined,
    gateway6: undefined,
    firewall: [],
    ports: [],
    dnsSocket: undefined,
    ...more,
  };
}

/** An interface on one of the bridges with this host part: 10.88.0.<n>, fd88::<n>. */
export function veth(bridge: 0 | 1, n: number, change: Partial<ShimInterface> = {}): ShimInterface {
  const net = 88 + bridge;
  return {
    kind: "veth",
    hostInterface: `gvnet${bridge}n${n}`,
    parent: `gbr${bridge}`,
    mode: "",
    flag: "",
    name: `eth${bridge}`,
    mac: `02:42:0a:${net.toString(16)}:00:${n.toString(16).padStart(2, "0")}`,
    addresses: [`10.${net}.0.${n}/16`, `fd${net}::${n}/64`],
    mtu: 1400,
    sysctls: {},
    ...change,
  };
}

/** Runs a program of the host in the network namespace of a process. */
export function inside(pid: number, ...argv: readonly string[]): string {
  return execFileSync("nsenter", ["-t", String(pid), "-n", ...argv], { encoding: "utf8" });
}

/** Addresses by interface without link-local ones, "flags" where one is not usable yet. */
export function addressesOf(pid: number): Readonly<Record<string, readonly string[]>> {
  const links = JSON.parse(inside(pid, "ip", "-j", "address")) as readonly {
    readonly ifname: string;
    readonly addr_info: readonly {
      readonly scope: string;
      readonly local: string;
      readonly prefixlen: number;
      readonly tentative?: boolean;
    }[];
  }[];
  return Object.fromEntries(
    links
      .filter(({ ifname }) => ifname !== "lo")
      .map(({ ifname, addr_info }) => [
        ifname,
        addr_info
          .filter(({ scope }) => scope !== "link")
          .map(({ local, prefixlen, tentative }) => `${local}/${prefixlen}${tentative === true ? " tentative" : ""}`),
      ]),
  );
}

export function routesOf(pid: number, family: 4 | 6): string {
  return inside(pid, "ip", `-${family}`, "route");
}

export function linkIndex(pid: number, name: string): number {
  const [link] = JSON.parse(inside(pid, "ip", "-j", "link", "show", name)) as readonly { readonly ifindex: number }[];
  return link?.ifindex ?? 0;
}

export function ping(pid: number, address: string): void {
  inside(pid, "busybox", "ping", "-c1", "-W2", address);
}

const tables = `
table inet gantry {
  set plain { type ipv4_addr; }
  map ports { type inet_proto . inet_service : ipv4_addr . inet_service; }
}
table bridge gantry {
  set macs { type ether_addr; }
}
`;

/** Writes tables of our name with a set, a map and a set of the bridge family, empty. */
export function writeTables(world: ShimWorld): void {
  execFileSync("nsenter", [`--net=/run/netns/${world.name}`, "nft", "-f", "-"], {
    input: `table inet gantry\ndelete table inet gantry\ntable bridge gantry\ndelete table bridge gantry\n${tables}`,
  });
}

/** Number of elements by set. */
export function elementCounts(world: ShimWorld): Readonly<Record<string, number>> {
  const { nftables } = JSON.parse(
    execFileSync("nsenter", [`--net=/run/netns/${world.name}`, "nft", "-j", "list", "ruleset"], {
      encoding: "utf8",
      maxBuffer: 2 ** 26,
    }),
  ) as {
    readonly nftables: readonly Readonly<
      Record<string, { readonly name: string; readonly elem?: readonly unknown[] }>
    >[];
  };
  return Object.fromEntries(
    nftables.flatMap((each) => {
      const set = each["set"] ?? each["map"];
      return set === undefined ? [] : [[set.name, set.elem?.length ?? 0]];
    }),
  );
}

/** Text of the ruleset. */
export function ruleset(world: ShimWorld): string {
  return world.inNet("nft", "list", "ruleset");
}

/** Waits for something that comes by itself soon. */
export async function eventually(what: string, holds: () => boolean, timeoutMs = 5000): Promise<void> {
  for (let waited = 0; !holds(); waited += 10) {
    assert.ok(waited < timeoutMs, what);
    await sleep(10);
  }
}
