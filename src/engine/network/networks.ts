// The network room at work: its records in memory, loaded once; connect and release decide, the caller commits.
// Invariant: an address in `#endpoints` is taken in the pool; a row of the store is in `#endpoints` or about to go.

import { randomBytes } from "node:crypto";
import { EngineError, isEngineError } from "../../base/errors.ts";
import { type ContainerId, newNetworkId } from "../../base/ids.ts";
import { nowRfc3339Nano } from "../../base/time.ts";
import type { ContainerConfig, HostConfig, NetworkingConfig, NetworkSettings } from "../../spec/docker/container.ts";
import type { Network, NetworkContainer } from "../../spec/docker/network.ts";
import type { Filters } from "../api/ports.ts";
import type { ShimNetwork } from "../runtime/shim.ts";
import type { Change } from "../store/index.ts";
import { defaultBridge, setUpBridge } from "./bridge.ts";
import { checkNetworks, type NetworkFinding } from "./check.ts";
import { makeFiles } from "./files.ts";
import { filterNetworks } from "./filters.ts";
import { applyRuleset, hashTable } from "./firewall.ts";
import type { Connection, NetworkDeps, NetworkFiles, NetworkRequest, Networks } from "./index.ts";
import { AddressPool } from "./ipam.ts";
import {
  type Endpoint,
  type NetworkRecord,
  parseEndpointRow,
  parseNetworkRow,
  plainNetwork,
  renderEndpointRow,
  renderNetworkRow,
} from "./record.ts";
import { derivedId, renderEndpoint, renderMember, renderNetwork, renderSettings, renderUnused } from "./render.ts";
import { macOfAddress, parseAddress, parseMac, parseSubnet, renderAddress, renderSubnet } from "./subnet.ts";
import { parseNetworkMode, validateNetwork } from "./validate.ts";

const builtIn = [
  { name: "none", driver: "null" },
  { name: "host", driver: "host" },
  { name: "bridge", driver: "bridge" },
] as const;

/** Makes the room; nothing is read or changed before setUp. */
export function createNetworks(deps: NetworkDeps): Networks {
  return new BuiltInNetworks(deps);
}

class BuiltInNetworks implements Networks {
  readonly #deps: NetworkDeps;
  readonly #records = new Map<string, NetworkRecord>();
  readonly #endpoints = new Map<ContainerId, Endpoint>();
  /** When an endpoint was made, monotonic ms: `check` leaves starts that are under way alone. */
  readonly #madeAt = new Map<ContainerId, number>();
  #pool: AddressPool | undefined;
  /** Of the table as it was right after it was written. */
  #tableHash: Promise<string> = Promise.resolve("");

  constructor(deps: NetworkDeps) {
    this.#deps = deps;
  }

  get hostGateway(): string {
    return bridgeOf(this.#bridge())?.gateway ?? "";
  }

  async setUp(): Promise<void> {
    const { store, logger } = this.#deps;
    const [rows, endpointRows] = await Promise.all([store.load("networks"), store.load("endpoints")]);
    for (const row of rows) this.#records.set(row.name, parseNetworkRow(row));
    this.#endpoints.clear();
    for (const endpoint of endpointRows.map(parseEndpointRow)) this.#endpoints.set(endpoint.containerId, endpoint);
    const changes: Change[] = [];
    for (const { name, driver } of builtIn) {
      if (this.#records.has(name)) continue;
      const id = newNetworkId();
      const record: NetworkRecord = { ...plainNetwork, id, name, driver, created: nowRfc3339Nano() };
      this.#records.set(name, record);
      changes.push({ insert: "networks", row: renderNetworkRow(record) });
    }
    changes.push(...(await this.#arrange()));
    if (changes.length > 0) await store.commit(changes);
    const bridge = this.#bridge();
    const device = bridgeOf(bridge);
    if (device !== undefined) logger.info("default bridge is up", { bridge: device.interface, subnet: device.subnet });
  }

  /** Makes the host as it should be: bridge, sysctls, table. Rows to commit for what was decided. */
  async #arrange(): Promise<readonly Change[]> {
    const changes = this.#deps.config.bridge === "none" ? [] : await this.#setUpBridge();
    const bridges = this.#firewallBridges();
    if (bridges.length > 0) {
      await applyRuleset(bridges);
      // Only a check needs it: a start does not wait for another nft.
      this.#tableHash = hashTable().catch(() => "");
    }
    return changes;
  }

  async #setUpBridge(): Promise<readonly Change[]> {
    const { config, logger } = this.#deps;
    const record = this.#records.get("bridge");
    if (record === undefined) return [];
    const name = config.bridge === "" ? defaultBridge : config.bridge;
    const device = bridgeOf(record);
    const before = device?.interface === name ? device : undefined;
    const held = this.#endpoints.size > 0;
    const options = { interface: name, mtu: config.mtu, bip: config.bip, ipForward: config.ipForward, before, held };
    const address = await setUpBridge(options, logger);
    const subnets = [{ subnet: address.subnet, ipRange: "", gateway: address.gateway, auxiliary: {} }];
    const now: NetworkRecord = { ...record, subnets, interface: name };
    this.#records.set("bridge", now);
    if (this.#pool === undefined || renderSubnet(this.#pool.subnet) !== address.subnet) {
      this.#pool = new AddressPool(parseSubnet(address.subnet), [parseAddress(address.gateway) ?? 0]);
      for (const endpoint of this.#endpoints.values()) this.#pool.adopt(parseAddress(endpoint.ip) ?? 0);
    }
    if (renderNetworkRow(now).doc === renderNetworkRow(record).doc) return [];
    return [{ put: "networks", row: renderNetworkRow(now) }];
  }

  #firewallBridges(): readonly { network: string; interface: string; subnet: string }[] {
    const bridge = bridgeOf(this.#bridge());
    return bridge === undefined ? [] : [{ network: "bridge", interface: bridge.interface, subnet: bridge.subnet }];
  }

  /** The default bridge network; undefined with --bridge=none. */
  #bridge(): NetworkRecord | undefined {
    return this.#deps.config.bridge === "none" ? undefined : this.#records.get("bridge");
  }

  #all(): readonly NetworkRecord[] {
    return builtIn.flatMap(({ name }) => (name === "bridge" ? this.#bridge() : this.#records.get(name)) ?? []);
  }

  /** By name, id, or unique prefix of an id. @throws NotFound; InvalidParameter for an ambiguous prefix */
  #find(nameOrId: string): NetworkRecord {
    const all = this.#all();
    const exact = all.find((record) => record.name === nameOrId || record.id === nameOrId);
    if (exact !== undefined) return exact;
    const found = nameOrId === "" ? [] : all.filter((record) => record.id.startsWith(nameOrId));
    if (found.length > 1)
      throw new EngineError(
        "InvalidParameter",
        `network ${nameOrId} is ambiguous (${found.length} matches found based on ID prefix)`,
      );
    const [only] = found;
    if (only === undefined) throw new EngineError("NotFound", `network ${nameOrId} not found`);
    return only;
  }

  /** The network of a container by its mode; undefined for `container:`. */
  #networkOf(hostConfig: HostConfig, config?: ContainerConfig): NetworkRecord | undefined {
    if (config?.NetworkDisabled === true) return this.#find("none");
    const mode = parseNetworkMode(hostConfig.NetworkMode);
    if (mode.kind === "container") return undefined;
    // Without a bridge network its containers have none, as with dockerd's --bridge=none.
    return this.#find(mode.name === "bridge" && this.#bridge() === undefined ? "none" : mode.name);
  }

  validate(
    config: ContainerConfig,
    hostConfig: HostConfig,
    networkingConfig: NetworkingConfig = {},
  ): readonly string[] {
    return validateNetwork(config, hostConfig, networkingConfig);
  }

  connect(request: NetworkRequest): Promise<Connection> {
    return Promise.try(() => this.#connect(request));
  }

  #networkToJoin({ hostConfig, config }: NetworkRequest): NetworkRecord | undefined {
    try {
      return this.#networkOf(hostConfig, config);
    } catch (error) {
      if (!isEngineError(error)) throw error;
      throw new EngineError(error.kind, `failed to set up container networking: ${error.message}`, { cause: error });
    }
  }

  #connect(request: NetworkRequest): Connection {
    const { id, joined } = request;
    const record = this.#networkToJoin(request);
    if (record === undefined) {
      if (joined === undefined)
        throw new EngineError("System", "no namespace to join was given for network mode container:");
      return {
        ...this.#connection({ kind: "join", path: joined }),
        endpoints: {},
        settings: renderSettings("", "", {}, undefined),
      };
    }
    const sandboxId = derivedId("sandbox", id);
    const bridge = bridgeOf(record);
    if (bridge === undefined || this.#pool === undefined) {
      const kind = record.driver === "host" ? "host" : "none";
      const endpoints = { [record.name]: renderEndpoint(record.id, derivedId("endpoint", id, record.id), undefined) };
      return {
        ...this.#connection({ kind }),
        endpoints,
        settings: renderSettings(sandboxId, "", endpoints, undefined),
      };
    }
    this.#forget(id);
    const endpoint = this.#newEndpoint(request, record, bridge, this.#pool);
    const endpoints = { [record.name]: renderEndpoint(record.id, endpoint.id, endpoint) };
    return {
      network: {
        kind: "bridge",
        hostInterface: endpoint.hostInterface,
        bridge: bridge.interface,
        interface: "eth0",
        mac: endpoint.mac,
        address: `${endpoint.ip}/${endpoint.prefix}`,
        gateway: endpoint.gateway,
        mtu: this.#deps.config.mtu,
      },
      changes: [{ insert: "endpoints", row: renderEndpointRow(endpoint) }],
      endpoints,
      settings: renderSettings(sandboxId, "", endpoints, endpoint),
    };
  }

  #connection(network: ShimNetwork): { readonly network: ShimNetwork; readonly changes: readonly Change[] } {
    return { network, changes: [] };
  }

  #newEndpoint(request: NetworkRequest, record: NetworkRecord, bridge: BridgeDevice, pool: AddressPool): Endpoint {
    // Clients name the default bridge by its name, by its id, or by what they put into NetworkMode.
    const asked = [record.name, record.id, request.hostConfig.NetworkMode ?? "", "default"]
      .map((name) => request.networkingConfig?.EndpointsConfig?.[name]?.MacAddress ?? "")
      .find((mac) => mac !== "");
    const mac = parseMac(asked ?? request.config.MacAddress ?? "");
    const inUse = new Set([...this.#endpoints.values()].map((endpoint) => endpoint.mac));
    if (mac !== undefined && inUse.has(mac))
      throw new EngineError("Conflict", `MAC address ${mac} is already in use on network ${record.name}`);
    const address = pool.allocate();
    const derived = macOfAddress(address);
    const endpoint: Endpoint = {
      id: randomBytes(32).toString("hex"),
      containerId: request.id,
      networkId: record.id,
      ip: renderAddress(address),
      // Somebody may have asked for the MAC that goes with this address.
      mac: mac ?? (inUse.has(derived) ? randomMac() : derived),
      // New at each start: the kernel takes the interface of an earlier one away in its own time.
      hostInterface: `gveth${randomBytes(5).toString("hex")}`,
      prefix: pool.subnet.prefix,
      gateway: bridge.gateway,
      ip6: "",
      prefix6: 0,
      gateway6: "",
      interface: "eth0",
      names: [],
    };
    this.#endpoints.set(request.id, endpoint);
    this.#madeAt.set(request.id, performance.now());
    return endpoint;
  }

  #forget(id: ContainerId): Endpoint | undefined {
    const endpoint = this.#endpoints.get(id);
    if (endpoint === undefined) return undefined;
    this.#endpoints.delete(id);
    this.#madeAt.delete(id);
    this.#pool?.free(parseAddress(endpoint.ip) ?? 0);
    return endpoint;
  }

  release(id: ContainerId): readonly Change[] {
    const endpoint = this.#forget(id);
    return endpoint === undefined ? [] : [{ delete: "endpoints", key: endpoint.id }];
  }

  settings(
    id: ContainerId,
    hostConfig: HostConfig,
    asked: NetworkingConfig = {},
    wasStarted = true,
  ): { readonly settings: NetworkSettings } {
    const mode = parseNetworkMode(hostConfig.NetworkMode);
    if (mode.kind === "container") return { settings: renderSettings("", "", {}, undefined) };
    const user = this.#deps.users.get(id);
    const endpoint = this.#endpoints.get(id);
    let record: NetworkRecord | undefined;
    try {
      record = this.#networkOf(hostConfig);
    } catch {
      // A network that does not exist: the container never started, and is shown with what it asked for.
    }
    const name = record?.name ?? mode.name;
    const networkId = record?.id ?? "";
    const wanted = asked.EndpointsConfig?.[mode.name] ?? {};
    if (user === undefined && !wasStarted) {
      const settings = renderSettings("", "", { [name]: renderUnused(wanted) }, undefined);
      return { settings: name === "bridge" ? { ...settings, MacAddress: wanted.MacAddress ?? "" } : settings };
    }
    if (user === undefined) {
      const endpoints = { [name]: renderEndpoint(networkId, "", undefined, wanted) };
      return { settings: renderSettings("", "", endpoints, undefined) };
    }
    const endpointId = endpoint?.id ?? derivedId("endpoint", id, networkId);
    const endpoints = { [name]: renderEndpoint(networkId, endpointId, endpoint, wanted) };
    const sandboxKey = `/proc/${user.pid}/ns/net`;
    return { settings: renderSettings(derivedId("sandbox", id), sandboxKey, endpoints, endpoint) };
  }

  files(request: NetworkRequest, address: string | undefined): Promise<NetworkFiles> {
    const { dns, dnsSearch, dnsOptions } = this.#deps.config;
    return makeFiles({
      config: request.config,
      hostConfig: request.hostConfig,
      hostNetwork: parseNetworkModeName(request.hostConfig) === "host",
      address,
      hostGateway: this.hostGateway,
      defaults: { nameservers: dns, search: dnsSearch, options: dnsOptions },
    });
  }

  list(filters: Filters): Promise<readonly Network[]> {
    return Promise.try(() => filterNetworks(this.#all(), filters).map((record) => renderNetwork(record, {})));
  }

  create(): Promise<never> {
    return Promise.reject(new EngineError("NotImplemented", "network create is not built yet"));
  }

  remove(): Promise<never> {
    return Promise.reject(new EngineError("NotImplemented", "network rm is not built yet"));
  }

  prune(): Promise<never> {
    return Promise.reject(new EngineError("NotImplemented", "network prune is not built yet"));
  }

  rules(): Promise<never> {
    return Promise.reject(new EngineError("NotImplemented", "network rules is not built yet"));
  }

  inspect(nameOrId: string): Promise<Network> {
    return Promise.try(() => {
      const record = this.#find(nameOrId);
      const members: Record<string, NetworkContainer> = {};
      for (const user of this.#deps.users.running()) {
        const mode = parseNetworkMode(user.networkMode);
        if (mode.kind === "container" || this.#networkOf({ NetworkMode: user.networkMode })?.id !== record.id) continue;
        const endpoint = this.#endpoints.get(user.id);
        members[user.id] = renderMember(user.name, endpoint?.id ?? derivedId("endpoint", user.id, record.id), endpoint);
      }
      return renderNetwork(record, members);
    });
  }

  async check(
    running: ReadonlySet<ContainerId>,
    options: { readonly repair: boolean },
  ): Promise<readonly NetworkFinding[]> {
    const underWayMs = 10_000;
    const now = performance.now();
    const starting = new Set(
      [...this.#madeAt].filter(([id, at]) => !running.has(id) && now - at < underWayMs).map(([id]) => id),
    );
    return checkNetworks({
      bridge: bridgeOf(this.#bridge()),
      bridges: this.#firewallBridges(),
      endpoints: () => [...this.#endpoints.values()],
      running,
      starting,
      tableHash: await this.#tableHash,
      store: this.#deps.store,
      repair: options.repair,
      mend: async () => {
        const changes = await this.#arrange();
        if (changes.length > 0) await this.#deps.store.commit(changes);
      },
      release: (id) => this.release(id),
    });
  }
}

interface BridgeDevice {
  readonly interface: string;
  readonly subnet: string;
  readonly gateway: string;
}

function bridgeOf(record: NetworkRecord | undefined): BridgeDevice | undefined {
  const subnet = record?.subnets[0];
  if (record === undefined || record.driver !== "bridge" || subnet === undefined) return undefined;
  return { interface: record.interface, subnet: subnet.subnet, gateway: subnet.gateway };
}

function randomMac(): string {
  return `02:42:${randomBytes(4)
    .toString("hex")
    .replaceAll(/(..)(?!$)/g, "$1:")}`;
}

function parseNetworkModeName(hostConfig: HostConfig): string {
  const mode = parseNetworkMode(hostConfig.NetworkMode);
  return mode.kind === "network" ? mode.name : "";
}
