// The face of the room at work: each verb has a file of its own, this one hands the room to it.

import { join } from "node:path";
import { EngineError } from "../../base/errors.ts";
import type { ContainerId, NetworkId } from "../../base/ids.ts";
import type { ContainerConfig, EndpointSettings, HostConfig, NetworkingConfig } from "../../spec/docker/container.ts";
import type { CreateNetworkRequest, Filters } from "../api/ports.ts";
import type { Change } from "../store/index.ts";
import { networkNamed, settingsAsked } from "./asked.ts";
import { joinNetwork, leaveNetwork } from "./change.ts";
import { checkNetworks, type NetworkFinding } from "./check.ts";
import { connectContainer } from "./connect.ts";
import { createNetwork } from "./create.ts";
import { createNameServer } from "./dns/index.ts";
import { createDrivers } from "./drivers/index.ts";
import { namesOf } from "./endpoint.ts";
import { makeFiles } from "./files.ts";
import { createAbsentFirewall, createFirewall, type FirewallState } from "./firewall/index.ts";
import type { NetworkDeps, NetworkRequest, Networks } from "./index.ts";
import { createIpam } from "./ipam/index.ts";
import { inspectNetwork, listNetworks } from "./list.ts";
import { publishNames } from "./names.ts";
import { firewallEndpoint, firewallPorts, planOwnNetwork } from "./own-network.ts";
import { createHostPorts, type PublishedPort } from "./ports/index.ts";
import { type NetworkRecord, renderEndpointRow } from "./record.ts";
import { pruneNetworks } from "./prune.ts";
import { releaseContainer } from "./release.ts";
import { removeNetwork } from "./remove.ts";
import { NetworkRoom } from "./room.ts";
import { networkSettings } from "./settings.ts";
import { setUpNetworks } from "./set-up.ts";
import { complainAboutEndpoint, validateNetwork } from "./validate.ts";

/** Makes the room; nothing is read or changed before setUp. */
export function createNetworks(deps: NetworkDeps): Networks {
  const { config, engineId, logger } = deps;
  const room: NetworkRoom = new NetworkRoom(deps, {
    ipam: createIpam(config.defaultAddressPools, engineId),
    ports: createHostPorts(),
    firewall: config.iptables ? createFirewall({ state: () => firewallState(room), logger }) : createAbsentFirewall(),
    names: createNameServer({ socketPath: join(deps.execRoot, "dns.sock"), logger }),
    drivers: createDrivers({
      mtu: config.mtu,
      ipForward: config.ipForward,
      allowDirectRouting: config.allowDirectRouting,
      logger,
    }),
  });
  return new RoomNetworks(room);
}

/** What the tables must hold, out of the records. */
function firewallState(room: NetworkRoom): FirewallState {
  const networks = [...room.records.values()].flatMap((record) =>
    record.configOnly ? [] : (room.driverOf(record).firewallOf(record) ?? []),
  );
  const filtered = new Set(networks.map(({ id }) => id));
  return {
    networks,
    endpoints: [...room.endpoints.values()].filter(({ networkId }) => filtered.has(networkId)).map(firewallEndpoint),
    ports: [...room.sandboxes.values()]
      .filter(({ ports }) => ports.length > 0)
      .flatMap((sandbox) => firewallPorts(room, room.endpointsOf(sandbox.containerId), sandbox))
      .filter(({ networkId }) => filtered.has(networkId)),
  };
}

class RoomNetworks implements Networks {
  readonly #room: NetworkRoom;

  constructor(room: NetworkRoom) {
    this.#room = room;
  }

  get hostGateways(): readonly string[] {
    const { hostGatewayIps } = this.#room.deps.config;
    if (hostGatewayIps.length > 0) return hostGatewayIps;
    const bridge = this.#room.records.values().find(({ name }) => name === "bridge");
    return bridge?.subnets.map(({ gateway }) => gateway) ?? [];
  }

  setUp(): Promise<void> {
    return setUpNetworks(this.#room);
  }

  validate(
    config: ContainerConfig,
    hostConfig: HostConfig,
    networkingConfig: NetworkingConfig = {},
  ): readonly string[] {
    return validateNetwork(config, hostConfig, networkingConfig, (name) => this.#known(name));
  }

  validateEndpoint(network: string, settings: EndpointSettings): readonly string[] {
    return complainAboutEndpoint(this.#known(network), network, settings);
  }

  /** undefined where there is none: a container may be made before its network is. */
  #known(name: string): NetworkRecord | undefined {
    try {
      return networkNamed(this.#room, name);
    } catch {
      return undefined;
    }
  }

  canonicalName(nameOrId: string): string {
    return nameOrId === "default"
      ? "bridge"
      : nameOrId === "bridge"
        ? nameOrId
        : (this.#known(nameOrId)?.name ?? nameOrId);
  }

  find(nameOrId: string): NetworkRecord {
    return this.#room.find(nameOrId);
  }

  connect(request: NetworkRequest): ReturnType<Networks["connect"]> {
    return Promise.try(() => connectContainer(this.#room, request));
  }

  release(id: ContainerId): readonly Change[] {
    return releaseContainer(this.#room, id);
  }

  adopt(request: NetworkRequest): void {
    const { parts, sandboxes } = this.#room;
    const sandbox = sandboxes.get(request.id);
    if (sandbox === undefined) return;
    if (sandbox.ports.length > 0) parts.ports.adopt(request.id, request.name, sandbox.ports);
    publishNames(this.#room, request);
  }

  wanted(request: NetworkRequest): ReturnType<Networks["wanted"]> {
    return this.#room.sandboxes.has(request.id) ? planOwnNetwork(this.#room, request) : undefined;
  }

  join(before: NetworkRequest, after: NetworkRequest, network: NetworkId): ReturnType<Networks["join"]> {
    return joinNetwork(this.#room, before, after, this.#room.find(network));
  }

  leave(before: NetworkRequest, after: NetworkRequest, network: NetworkId): ReturnType<Networks["leave"]> {
    const endpoint = this.#room.endpointOn(network, before.id);
    if (endpoint === undefined)
      throw new EngineError(
        "System",
        `container ${before.id} is not connected to network ${this.#room.find(network).name}`,
      );
    return leaveNetwork(this.#room, before, after, endpoint);
  }

  renamed(request: NetworkRequest): readonly Change[] {
    const room = this.#room;
    const changes = room.endpointsOf(request.id).flatMap((endpoint): readonly Change[] => {
      const network = room.records.get(endpoint.networkId);
      if (network === undefined) return [];
      const names = namesOf(request, network, settingsAsked(room, request, network));
      if (names.join(" ") === endpoint.names.join(" ")) return [];
      const now = { ...endpoint, names };
      room.setEndpoint(now);
      return [{ put: "endpoints", row: renderEndpointRow(now) }];
    });
    const ports = room.sandboxes.get(request.id)?.ports ?? [];
    if (ports.length > 0) room.parts.ports.adopt(request.id, request.name, ports);
    if (changes.length > 0) publishNames(room, request);
    return changes;
  }

  connected(id: ContainerId): readonly NetworkRecord[] {
    return this.#room.endpointsOf(id).flatMap(({ networkId }) => this.#room.records.get(networkId) ?? []);
  }

  published(id: ContainerId): readonly PublishedPort[] {
    return this.#room.sandboxes.get(id)?.ports ?? [];
  }

  settings(request: NetworkRequest, wasStarted: boolean): ReturnType<Networks["settings"]> {
    return networkSettings(this.#room, request, wasStarted);
  }

  files(request: NetworkRequest): ReturnType<Networks["files"]> {
    return Promise.try(() => makeFiles(this.#room, request, this.hostGateways));
  }

  list(filters: Filters): ReturnType<Networks["list"]> {
    return Promise.try(() => listNetworks(this.#room, filters));
  }

  inspect(nameOrId: string, options: Parameters<Networks["inspect"]>[1]): ReturnType<Networks["inspect"]> {
    return Promise.try(() => inspectNetwork(this.#room, nameOrId, options));
  }

  create(request: CreateNetworkRequest): ReturnType<Networks["create"]> {
    return createNetwork(this.#room, request);
  }

  remove(nameOrId: string): ReturnType<Networks["remove"]> {
    return removeNetwork(this.#room, nameOrId);
  }

  prune(filters: Filters): ReturnType<Networks["prune"]> {
    return pruneNetworks(this.#room, filters);
  }

  rules(): Promise<string> {
    return this.#room.parts.firewall.list();
  }

  resync(): Promise<void> {
    return this.#room.parts.firewall.replace();
  }

  rulesChanged(): void {
    this.#room.parts.firewall.rulesChanged();
  }

  check(running: ReadonlySet<ContainerId>, options: { readonly repair: boolean }): Promise<readonly NetworkFinding[]> {
    return checkNetworks(this.#room, running, options.repair);
  }

  async close(): Promise<void> {
    await Promise.all([this.#room.parts.firewall.close(), this.#room.parts.names.close()]);
  }
}
