// A hand-made world for tests of the firewall: a host's network namespace, a neighbour on its link, networks and containers that
// are bridges, veth pairs and namespaces. The firewall under test writes into the host's. Everything goes with dispose.

import { execFileSync, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { parseNetworkId } from "../../src/base/ids.ts";
import { silentLogger } from "../../src/base/log.ts";
import {
  createFirewall,
  type Firewall,
  type FirewallEndpoint,
  type FirewallNetwork,
  type FirewallPort,
} from "../../src/engine/network/firewall/index.ts";
import { addNamespace, removeNamespace } from "../support/daemon.ts";
import { NetPeer } from "../support/net-peer.ts";

/** Addresses of the host's and the neighbour's ends of the link between them. */
export const hostIp = "198.51.100.1";
export const hostIp6 = "2001:db8:51::1";
export const neighbourIp = "198.51.100.2";
export const neighbourIp6 = "2001:db8:51::2";

export interface Container {
  readonly netns: string;
  readonly peer: NetPeer;
  readonly endpoint: FirewallEndpoint;
  readonly ip: string;
  /** "" without IPv6. */
  readonly ip6: string;
  readonly mac: string;
}

function ip(...argv: readonly string[]): void {
  execFileSync("ip", argv, { stdio: ["ignore", "ignore", "pipe"] });
}

/** A plain network on 10.<n>.0.0/24 and fd00:<n>::/64. */
export function networkOf(n: number, changes: Partial<FirewallNetwork> = {}): FirewallNetwork {
  return {
    id: parseNetworkId(createHash("sha256").update(String(n)).digest("hex")),
    name: `net${n}`,
    interface: `gbr${n}`,
    subnets: [`10.${n}.0.0/24`, `fd00:${n}::/64`],
    gateways: [`10.${n}.0.1`, `fd00:${n}::1`],
    internal: false,
    icc: true,
    masquerade: true,
    hostIp4: "",
    hostIp6: "",
    mode4: "nat",
    mode6: "nat",
    antiSpoofing: true,
    trustedInterfaces: [],
    ...changes,
  };
}

export class NetworkWorld implements AsyncDisposable {
  readonly host: string;
  readonly neighbour: NetPeer;
  readonly hostPeer: NetPeer;
  readonly networks: FirewallNetwork[] = [];
  readonly endpoints: FirewallEndpoint[] = [];
  readonly ports: FirewallPort[] = [];
  readonly firewall: Firewall;
  readonly #tag: string;
  readonly #bin: string;
  readonly #path = process.env["PATH"] ?? "";
  readonly #peers: NetPeer[] = [];
  readonly #namespaces: string[] = [];
  #serial = 0;

  constructor(tag: string) {
    this.#tag = `${tag}${process.pid}`;
    this.host = this.#namespace("h");
    const outside = this.#namespace("o");
    ip("-n", this.host, "link", "add", "up0", "type", "veth", "peer", "name", "eth0", "netns", outside);
    for (const [net, dev, four, six] of [
      [this.host, "up0", hostIp, hostIp6],
      [outside, "eth0", neighbourIp, neighbourIp6],
    ] as const) {
      ip("-n", net, "address", "add", `${four}/24`, "dev", dev);
      ip("-n", net, "address", "add", `${six}/64`, "dev", dev, "nodad");
      ip("-n", net, "link", "set", dev, "up");
    }
    this.sysctl(this.host, "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1");
    this.neighbour = this.#peer(outside);
    this.hostPeer = this.#peer(this.host);
    // The firewall runs nft; here it finds one that works in the host's namespace.
    this.#bin = mkdtempSync(join(tmpdir(), "gantry-nft-"));
    const nft = execFileSync("sh", ["-c", "command -v nft"], { encoding: "utf8" }).trim();
    writeFileSync(join(this.#bin, "nft"), `#!/bin/sh\nexec nsenter --net=/run/netns/${this.host} ${nft} "$@"\n`);
    chmodSync(join(this.#bin, "nft"), 0o755);
    process.env["PATH"] = `${this.#bin}:${this.#path}`;
    this.firewall = createFirewall({
      state: () => ({ networks: [...this.networks], endpoints: [...this.endpoints], ports: [...this.ports] }),
      logger: silentLogger,
    });
  }

  get neighbourNetns(): string {
    return `${this.#tag}o`;
  }

  #namespace(suffix: string): string {
    const name = `${this.#tag}${suffix}`;
    addNamespace(name);
    this.#namespaces.push(name);
    return name;
  }

  #peer(namespace: string): NetPeer {
    const peer = new NetPeer(`/run/netns/${namespace}`);
    this.#peers.push(peer);
    return peer;
  }

  sysctl(namespace: string, ...settings: readonly string[]): void {
    execFileSync("nsenter", [`--net=/run/netns/${namespace}`, "sysctl", "-qw", ...settings]);
  }

  /** Runs a program in a namespace; its stdout, and its exit status instead of an exception. */
  run(namespace: string, ...argv: readonly string[]): { readonly code: number; readonly text: string } {
    try {
      const text = execFileSync("nsenter", [`--net=/run/netns/${namespace}`, ...argv], {
        encoding: "utf8",
        stdio: ["ignore", "pipe", "pipe"],
      });
      return { code: 0, text };
    } catch (error) {
      const { status, stdout, stderr } = error as { status: number; stdout: string; stderr: string };
      return { code: status, text: `${stdout}${stderr}` };
    }
  }

  nft(...argv: readonly string[]): string {
    return execFileSync("nft", argv, { encoding: "utf8" });
  }

  addNetwork(network: FirewallNetwork): FirewallNetwork {
    ip("-n", this.host, "link", "add", network.interface, "type", "bridge", "no_linklocal_learn", "1");
    for (const address of network.gateways)
      if (address.includes(":"))
        ip("-n", this.host, "address", "add", `${address}/64`, "dev", network.interface, "nodad");
      else ip("-n", this.host, "address", "add", `${address}/24`, "dev", network.interface);
    ip("-n", this.host, "link", "set", network.interface, "up");
    this.networks.push(network);
    return network;
  }

  /** A container at address n of the network; further networks become eth1, eth2 … without default route. */
  addContainer(network: FirewallNetwork, n: number, ...more: readonly FirewallNetwork[]): Container {
    const netns = this.#namespace(`c${this.#serial}`);
    const all = [network, ...more].map((each, index) => this.#attach(netns, each, n, `eth${index}`));
    const [own] = all;
    if (own === undefined) throw new Error("no endpoint");
    const [gateway4, gateway6] = [4, 6].map((version) =>
      network.gateways.find((address) => address.includes(":") === (version === 6)),
    );
    // The namespaces come with unreachable routes to private networks.
    for (const to of ["default", "10.0.0.0/8"])
      if (gateway4 !== undefined) ip("-n", netns, "route", "add", to, "via", gateway4, "metric", "1");
    if (gateway6 !== undefined && own.ip6 !== "") ip("-n", netns, "-6", "route", "add", "default", "via", gateway6);
    return { netns, peer: this.#peer(netns), ...own };
  }

  #attach(netns: string, network: FirewallNetwork, n: number, dev: string): Omit<Container, "netns" | "peer"> {
    const serial = (++this.#serial).toString(16).padStart(4, "0");
    const hostInterface = `gveth000000${serial}`;
    const mac = `02:42:00:00:${serial.slice(0, 2)}:${serial.slice(2)}`;
    const at = (version: 4 | 6): string => {
      const subnet = network.subnets.find((each) => each.includes(":") === (version === 6));
      if (subnet === undefined) return "";
      return version === 4 ? subnet.replace(/0\/24$/, String(n)) : subnet.replace(/\/64$/, String(n));
    };
    const [ip4, ip6] = [at(4), at(6)];
    ip(
      "-n",
      this.host,
      "link",
      "add",
      hostInterface,
      "type",
      "veth",
      "peer",
      "name",
      dev,
      "address",
      mac,
      "netns",
      netns,
    );
    ip("-n", this.host, "link", "set", hostInterface, "master", network.interface, "up");
    if (ip6 === "") this.sysctl(netns, `net.ipv6.conf.${dev}.disable_ipv6=1`);
    if (ip4 !== "") ip("-n", netns, "address", "add", `${ip4}/24`, "dev", dev);
    if (ip6 !== "") ip("-n", netns, "address", "add", `${ip6}/64`, "dev", dev, "nodad");
    ip("-n", netns, "link", "set", dev, "up");
    const addresses = [ip4, ip6].filter((address) => address !== "");
    const endpoint = { networkId: network.id, hostInterface, mac, addresses };
    this.endpoints.push(endpoint);
    return { endpoint, ip: ip4, ip6, mac };
  }

  publish(container: Container, port: Omit<FirewallPort, "networkId" | "address">): void {
    const address = port.hostIp.includes(":") ? container.ip6 : container.ip;
    this.ports.push({ ...port, networkId: container.endpoint.networkId, address });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.firewall.close();
    for (const peer of this.#peers) await peer[Symbol.asyncDispose]();
    for (const name of this.#namespaces) removeNamespace(name);
    process.env["PATH"] = this.#path;
    rmSync(this.#bin, { recursive: true });
  }
}

/** Frames on interfaces of namespaces: sends bytes as they are, and hears what arrives. */
export class Frames implements Disposable {
  readonly #dir = mkdtempSync(join(tmpdir(), "gantry-frames-"));
  readonly #program: string;

  constructor() {
    this.#program = join(this.#dir, "frames");
    execFileSync("cc", ["-O1", "-Wall", "-D_GNU_SOURCE", "-o", this.#program, join(import.meta.dirname, "frames.c")]);
  }

  send(namespace: string, device: string, ...frames: readonly Uint8Array[]): void {
    const hex = frames.map((frame) => Buffer.from(frame).toString("hex"));
    execFileSync("nsenter", [`--net=/run/netns/${namespace}`, this.#program, "send", device, ...hex]);
  }

  /** What arrives within `ms`, as hex, while `act` acts. */
  async hear(namespace: string, device: string, act: () => void, ms = 400): Promise<readonly string[]> {
    const argv = [`--net=/run/netns/${namespace}`, this.#program, "hear", device, String(ms)];
    const child = spawn("nsenter", argv, { stdio: ["ignore", "pipe", "inherit"] });
    const heard: string[] = [];
    let ready = false;
    for await (const line of createInterface({ input: child.stdout })) {
      if (ready) heard.push(line);
      else act();
      ready = true;
    }
    return heard;
  }

  [Symbol.dispose](): void {
    rmSync(this.#dir, { recursive: true });
  }
}
