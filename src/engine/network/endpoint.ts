// One endpoint: its name inside, its addresses and MAC, reserved in ipam and in the room until it is dropped.

import { randomBytes } from "node:crypto";
import { EngineError } from "../../base/errors.ts";
import { type ContainerId, shortId } from "../../base/ids.ts";
import type { EndpointSettings } from "../../spec/docker/container.ts";
import { type AskedEndpoint, isUserDefined } from "./asked.ts";
import type { NetworkRequest } from "./index.ts";
import { parseAddress } from "./ipam/index.ts";
import { macOfAddress, parseMac, randomMac } from "./mac.ts";
import type { Endpoint, NetworkRecord } from "./record.ts";
import type { NetworkRoom } from "./room.ts";

/** Driver option of an endpoint: the name of its interface inside. */
const interfaceNameOption = "com.docker.network.endpoint.ifname";

/**
 * Makes an endpoint and puts it into the room; its addresses are reserved until `dropEndpoint`.
 *
 * @throws Conflict    an address or MAC that was asked for is in use
 * @throws Unavailable the network has no address left
 * @throws System      the interface's name is taken
 */
export function makeEndpoint(room: NetworkRoom, request: NetworkRequest, asked: AskedEndpoint): Endpoint {
  const { network, settings } = asked;
  const driver = room.driverOf(network);
  if (room.membersOf(network.id).length >= driver.capacity(network))
    throw new EngineError("Conflict", `network ${network.name} takes no more containers: its parent is in use`);
  const mac = driver.joins === "own" ? askedMac(room, network, settings) : "";
  using undo = new DisposableStack();
  const allocate = (family: 4 | 6, wanted: string): ReturnType<typeof room.parts.ipam.allocate> => {
    const given = room.parts.ipam.allocate(network.id, family, wanted);
    undo.defer(() => room.parts.ipam.free(network.id, given.address));
    return given;
  };
  const { addresses } = driver.ipamOf(network);
  const ipam = settings.IPAMConfig;
  const given = addresses && network.enableIpv4 ? allocate(4, ipam?.IPv4Address ?? "") : undefined;
  const given6 = addresses && network.enableIpv6 ? allocate(6, ipam?.IPv6Address ?? "") : undefined;
  const ip = given?.address ?? "";
  const endpoint: Endpoint = {
    id: randomBytes(32).toString("hex"),
    containerId: request.id,
    networkId: network.id,
    ip,
    ip6: given6?.address ?? "",
    mac: mac ?? derivedMac(room, network, ip),
    // New at each start: the kernel takes the interface of an earlier one away in its own time.
    hostInterface: network.driver === "bridge" ? `gveth${randomBytes(5).toString("hex")}` : "",
    interface: driver.joins === "own" ? interfaceName(room, request.id, network, settings) : "",
    prefix: given?.prefix ?? 0,
    prefix6: given6?.prefix ?? 0,
    gateway: network.internal ? "" : (given?.gateway ?? ""),
    gateway6: network.internal ? "" : (given6?.gateway ?? ""),
    linkLocal: driver.joins === "own" ? (ipam?.LinkLocalIPs ?? []) : [],
    names: namesOf(request, network, settings),
  };
  undo.move();
  room.setEndpoint(endpoint);
  room.madeAt.set(endpoint.id, performance.now());
  return endpoint;
}

/** Takes an endpoint out of the room; its addresses are free at once. */
export function dropEndpoint(room: NetworkRoom, endpoint: Endpoint): void {
  if (room.deleteEndpoint(endpoint.id) === undefined) return;
  freeAddresses(room, endpoint);
}

export function freeAddresses(room: NetworkRoom, { networkId, ip, ip6 }: Endpoint): void {
  for (const address of [ip, ip6]) if (address !== "") room.parts.ipam.free(networkId, address);
}

/** What the name server knows it by on a network, as dockerd's DNSNames. */
export function namesOf(
  { id, name, config }: Pick<NetworkRequest, "id" | "name" | "config">,
  network: NetworkRecord,
  settings: EndpointSettings,
): readonly string[] {
  if (!isUserDefined(network)) return [];
  const hostname = config.Hostname ?? "";
  return [...new Set([name, ...(settings.Aliases ?? []), shortId(id), ...(hostname === "" ? [] : [hostname])])];
}

/** undefined: the engine chooses; "": there is none of its own. @throws Conflict it is in use */
function askedMac(room: NetworkRoom, network: NetworkRecord, settings: EndpointSettings): string | undefined {
  // These have their parent's.
  if (network.driver === "ipvlan") return "";
  if (network.driver === "macvlan" && network.options["macvlan_mode"] === "passthru") return "";
  const mac = parseMac(settings.MacAddress ?? "");
  if (mac !== undefined && room.isMacInUse(network.id, mac))
    throw new EngineError("Conflict", `MAC address ${mac} is already in use on network ${network.name}`);
  return mac;
}

/** The one that goes with the address, unless somebody has asked for it. */
function derivedMac(room: NetworkRoom, network: NetworkRecord, ip: string): string {
  const address = parseAddress(ip);
  const derived = address === undefined ? "" : macOfAddress(address);
  return derived === "" || room.isMacInUse(network.id, derived) ? randomMac() : derived;
}

/** The one asked for, or the first of eth<n> (or of the network's own prefix) that is free. */
function interfaceName(
  room: NetworkRoom,
  containerId: ContainerId,
  network: NetworkRecord,
  settings: EndpointSettings,
): string {
  const taken = new Set(room.endpointsOf(containerId).map((endpoint) => endpoint.interface));
  const asked = settings.DriverOpts?.[interfaceNameOption] ?? "";
  if (asked !== "") {
    if (taken.has(asked)) throw new EngineError("Conflict", `the interface name ${asked} is asked for twice`);
    return asked;
  }
  const prefix = network.options["com.docker.network.container_iface_prefix"] || "eth";
  for (let n = 0; ; n++) if (!taken.has(`${prefix}${n}`)) return `${prefix}${n}`;
}
