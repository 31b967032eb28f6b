// Elements of the sets and maps: what is per endpoint and per port. Pure. An element is said twice, as nft's text and as the
// kernel's bytes (each value of a concatenation padded to registers of four bytes; numbers in network order), because the daemon
// writes whole tables through nft and the shim adds single elements over netlink.
// Source: nft(8) "concatenations"; linux/netfilter/nf_tables.h NFTA_SET_ELEM_KEY.

import { SocketAddress, isIP } from "node:net";
import { EngineError } from "../../../base/errors.ts";
import type { PortProtocol } from "../ports/index.ts";
import type { ElementField, FirewallElement, FirewallEndpoint, FirewallNetwork, FirewallPort } from "./index.ts";

const protocolNumbers: Readonly<Record<PortProtocol, number>> = { tcp: 6, udp: 17, sctp: 132 };

function unfit(what: string, value: string): EngineError {
  return new EngineError("InvalidParameter", `${what} not fit for a firewall rule: ${JSON.stringify(value)}`);
}

/** Quoted for nft. @throws InvalidParameter it could be more than a name: a wildcard, a quote, a space */
export function interfaceText(name: string): string {
  if (!/^[A-Za-z0-9_.@+-]{1,15}$/.test(name)) throw unfit("interface", name);
  return `"${name}"`;
}

/** IFNAMSIZ bytes, the rest zero. */
export function interfaceField(name: string): ElementField {
  const bytes = Buffer.alloc(16);
  const text = interfaceText(name);
  bytes.write(name, "latin1");
  return { text, bytes };
}

/** As nft prints it. @throws InvalidParameter it is no plain address */
export function addressText(address: string): string {
  const version = address.includes("%") ? 0 : isIP(address);
  if (version === 0) throw unfit("address", address);
  return version === 4 ? address : new SocketAddress({ address, family: "ipv6" }).address;
}

function addressBytes(text: string): Uint8Array {
  if (isIP(text) === 4) return Uint8Array.from(text.split("."), Number);
  const dotted = /^(.*:)(\d+)\.(\d+)\.(\d+)\.(\d+)$/.exec(text);
  const plain =
    dotted === null
      ? text
      : `${dotted[1]}${((Number(dotted[2]) << 8) | Number(dotted[3])).toString(16)}:${((Number(dotted[4]) << 8) | Number(dotted[5])).toString(16)}`;
  const [left = "", right] = plain.split("::");
  const groups = (side: string | undefined): string[] => (side === undefined || side === "" ? [] : side.split(":"));
  const before = groups(left);
  const after = groups(right);
  const zeros = right === undefined ? 0 : 8 - before.length - after.length;
  const all = [...before, ...Array.from({ length: zeros }, () => "0"), ...after];
  return Uint8Array.from(
    all.flatMap((group) => {
      const value = Number.parseInt(group, 16);
      return [value >>> 8, value & 255];
    }),
  );
}

export function addressField(address: string): ElementField {
  const text = addressText(address);
  return { text, bytes: addressBytes(text) };
}

export function macField(mac: string): ElementField {
  const text = mac.toLowerCase();
  if (!/^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/.test(text)) throw unfit("MAC address", mac);
  return { text, bytes: Uint8Array.from([...text.split(":").map((byte) => Number.parseInt(byte, 16)), 0, 0]) };
}

/** By number: nft knows the names of protocols from the host's /etc/protocols, which may not be there. */
function protocolField(protocol: PortProtocol): ElementField {
  return { text: String(protocolNumbers[protocol]), bytes: Uint8Array.from([protocolNumbers[protocol], 0, 0, 0]) };
}

function portField(port: number): ElementField {
  if (!Number.isInteger(port) || port < 1 || port > 65535) throw unfit("port", String(port));
  return { text: String(port), bytes: Uint8Array.from([port >>> 8, port & 255, 0, 0]) };
}

/** Raw payload in a set: nft shows and reads it as a number. */
function rawField({ bytes }: ElementField, size: number): ElementField {
  const digits = Buffer.from(bytes.subarray(0, size))
    .toString("hex")
    .replace(/^0+(?=.)/, "");
  return { text: `0x${digits}`, bytes };
}

/** A value that is a key by itself is as long as its type: only those of concatenations are padded. */
function alone({ text, bytes }: ElementField, size: number): ElementField {
  return { text, bytes: bytes.subarray(0, size) };
}

/** RFC 4291 appendix A: what the kernel gives an interface with this MAC. */
export function linkLocalOf(mac: string): string {
  const [a = 0, b = 0, c = 0, d = 0, e = 0, f = 0] = macField(mac).bytes;
  const group = (high: number, low: number): string => ((high << 8) | low).toString(16);
  return addressText(`fe80::${group(a ^ 2, b)}:${group(c, 0xff)}:${group(0xfe, d)}:${group(e, f)}`);
}

/** What an endpoint adds to the sets. @throws InvalidParameter a name or address that is none */
export function endpointElements(network: FirewallNetwork, endpoint: FirewallEndpoint): readonly FirewallElement[] {
  const port = interfaceField(endpoint.hostInterface);
  const element = (set: string, ...rest: readonly ElementField[]): FirewallElement => ({
    family: "bridge",
    set,
    key: [port, ...rest],
  });
  const mac = macField(endpoint.mac);
  const apart: readonly FirewallElement[] = network.icc
    ? []
    : [element("apart"), { family: "bridge", set: "apart_macs", key: [alone(mac, 6)] }];
  if (!network.antiSpoofing) return [...apart, element("unguarded")];
  const ip4 = endpoint.addresses.filter((address) => isIP(address) !== 6);
  const ip6 = endpoint.addresses.filter((address) => isIP(address) === 6).map(addressText);
  const own6 = ip6.length === 0 ? [] : [...new Set([...ip6, linkLocalOf(endpoint.mac)])];
  return [
    ...apart,
    element("macs", mac),
    ...ip4.map((address) => element("addresses4", mac, addressField(address))),
    ...own6.flatMap((address) => [
      element("addresses6", mac, addressField(address)),
      element("nd_targets", mac, rawField(addressField(address), 16)),
    ]),
    ...(own6.length === 0 ? [] : [element("nd_options", rawField(mac, 6))]),
  ];
}

function isLoopback(address: string): boolean {
  return address === "::1" || address.startsWith("127.");
}

/**
 * What a published port adds to the maps. A port of 127.0.0.0/8 or ::1 is in no map, a listening process serves it; one whose host
 * address is of the other family is served by a process as well.
 *
 * @throws InvalidParameter an address or port that is none
 */
export function portElements(network: FirewallNetwork, port: FirewallPort): readonly FirewallElement[] {
  const { protocol, hostIp, address } = port;
  const family = isIP(address);
  const proto = protocolField(protocol);
  const target = [addressField(address), portField(port.containerPort)];
  const element = (set: string, key: readonly ElementField[], data?: readonly ElementField[]): FirewallElement => ({
    family: "inet",
    set,
    key,
    ...(data === undefined ? {} : { data }),
  });
  const mode = family === 4 ? network.mode4 : network.mode6;
  if (isLoopback(hostIp) && mode === "routed") return [];
  if (isLoopback(hostIp)) return hostIp === "::1" ? [] : [element("loopback", [proto, portField(port.hostPort)])];
  if (hostIp !== "" && isIP(hostIp) !== family) return [];
  const [toAddress, toPort] = target;
  const open = element(
    `open${family}`,
    [toAddress, proto, toPort].filter((field) => field !== undefined),
  );
  if (mode === "isolated" || network.internal) return [];
  if (mode === "routed") return [open];
  const all = hostIp === "" || hostIp === "0.0.0.0" || hostIp === "::";
  const published = all
    ? element(`publish${family}`, [proto, portField(port.hostPort)], target)
    : element(`publish${family}_address`, [addressField(hostIp), proto, portField(port.hostPort)], target);
  const alsoOn = (port.otherBridges ?? []).map((bridge) =>
    element(`also_on${family}`, [addressField(address), interfaceField(bridge)]),
  );
  // The process that keeps an SCTP port does not serve it.
  const own =
    protocol === "sctp" ? [] : [element(`own${family}`, [addressField(address), proto, portField(port.hostPort)])];
  return [published, open, ...own, ...alsoOn];
}

/** `"gantry0" . 02:42:ac:11:00:02 : 172.17.0.2 . 80`: as nft reads and prints it. */
export function renderElement({ key, data }: Pick<FirewallElement, "key" | "data">): string {
  const join = (fields: readonly ElementField[]): string => fields.map(({ text }) => text).join(" . ");
  return data === undefined ? join(key) : `${join(key)} : ${join(data)}`;
}

function hex(fields: readonly ElementField[]): string {
  return Buffer.concat(fields.map(({ bytes }) => bytes)).toString("hex");
}

/** Lines as ShimOwnNetwork.firewall has them; no line twice. */
export function renderShimElements(elements: readonly FirewallElement[]): readonly string[] {
  const lines = elements.map(({ family, set, key, data }) =>
    [family, set, hex(key), ...(data === undefined ? [] : [hex(data)])].join(" "),
  );
  return [...new Set(lines)];
}
