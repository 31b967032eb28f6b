// The bridge driver: a bridge of the host per network, and a veth pair per container.
// Invariant: a device of a name that the user chose is changed only so far as needed, and removed only when it carries our mark.

import { EngineError } from "../../../base/errors.ts";
import type { NetworkId } from "../../../base/ids.ts";
import { type Link, readLink, readLinks } from "../links.ts";
import type { NetworkRecord } from "../record.ts";
import { tryRun } from "../../kernel/run.ts";
import { addressesOf } from "./addresses.ts";
import { parseBridgeOptions } from "./bridge-options.ts";
import {
  type BridgeSpec,
  bridgeSpec,
  complainAboutBridge,
  gatewayAddresses,
  isOurs,
  planBridge,
} from "./bridge-plan.ts";
import { isLacking, lacking, markOf, runBatch } from "./device.ts";
import type { DriverDeps } from "./drivers.ts";
import { endpointSysctls } from "./endpoint-options.ts";
import type { Driver, NetworkDraft } from "./index.ts";
import { forwardIpv4, forwardIpv6, readSysctl, writeSysctl } from "./sysctls.ts";

export { defaultBridge } from "./bridge-plan.ts";

/** The name that the engine gives a bridge; its id makes it new. */
function derivedName(id: NetworkId): string {
  return `br-${id.slice(0, 12)}`;
}

function usesIpv6(spec: BridgeSpec): boolean {
  return spec.addresses6.length > 0;
}

/** What speaks against making a bridge of that name of what is there. */
function refuse(spec: BridgeSpec, link: Link | undefined): EngineError | undefined {
  if (link === undefined)
    return spec.adopted
      ? new EngineError("InvalidParameter", `bridge device with non default name ${spec.name} must be created manually`)
      : undefined;
  if (link.kind !== "bridge")
    return new EngineError("InvalidParameter", `existing interface ${spec.name} is not a bridge`);
  return undefined;
}

function failureOf(spec: BridgeSpec, message: string): EngineError {
  if (isLacking(message) && usesIpv6(spec) && readSysctl("net/ipv6/conf/all/forwarding") === undefined)
    return new EngineError(
      "NotImplemented",
      "networks with IPv6 need a kernel with IPv6; it is switched off on this host",
    );
  if (isLacking(message)) return lacking("bridge networks", "bridge");
  return new EngineError("System", `cannot set up bridge ${spec.name}: ${message}`);
}

/** Devices get IPv6 only when it is switched on for them first. */
function isIpv6OffForNew(): boolean {
  return readSysctl("net/ipv6/conf/default/disable_ipv6") === "1";
}

class BridgeDriver implements Driver {
  readonly joins = "own";
  readonly creatable = true;
  readonly #deps: DriverDeps;

  constructor(deps: DriverDeps) {
    this.#deps = deps;
  }

  ipamOf(draft: NetworkDraft): { readonly addresses: boolean; readonly gateway: boolean } {
    const { mode4, mode6 } = parseBridgeOptions(draft.options).values;
    const gateway = (draft.enableIpv4 && mode4 !== "isolated") || (draft.enableIpv6 && mode6 !== "isolated");
    return { addresses: true, gateway };
  }

  validate(draft: NetworkDraft, others: readonly NetworkRecord[]): readonly string[] {
    const { values, complaints } = parseBridgeOptions(draft.options);
    const wrong = [...complaints];
    if (!draft.internal && (values.mode4 === "isolated" || values.mode6 === "isolated"))
      wrong.push("gateway mode 'isolated' can only be used for an internal network");
    if (draft.enableIpv6 && values.mtu !== 0 && values.mtu < 1280)
      wrong.push(`invalid MTU number: ${values.mtu}: IPv6 needs 1280`);
    const name = this.interfaceName(draft);
    const holder = others.find(
      (other) => other.id !== draft.id && other.driver === "bridge" && other.interface === name,
    );
    if (holder !== undefined)
      wrong.push(
        `cannot create network ${draft.id} (${name}): conflicts with network ${holder.id} (${name}): networks have same bridge name`,
      );
    return wrong;
  }

  interfaceName(draft: NetworkDraft): string {
    const { name } = parseBridgeOptions(draft.options).values;
    return name === "" ? derivedName(draft.id) : name;
  }

  defaultRoute(): "gateway" {
    return "gateway";
  }

  capacity(): number {
    return Number.POSITIVE_INFINITY;
  }

  async setUp(network: NetworkRecord): Promise<void> {
    const spec = bridgeSpec(network, this.#deps.mtu);
    this.#forward([spec]);
    // A name made of the network's id is new as a rule: whether it is there is looked up only when making it failed.
    if (spec.name === derivedName(network.id) && (await this.#create(spec))) return;
    const failure = await this.#arrange(spec, await readLink(spec.name));
    if (failure !== undefined) throw failure;
  }

  /** @returns false when a device of that name is there */
  async #create(spec: BridgeSpec): Promise<boolean> {
    const { device, addresses } = planBridge(spec, undefined);
    const apart = usesIpv6(spec) && isIpv6OffForNew();
    const [failure] = await runBatch(apart ? device : [...device, ...addresses]);
    if (failure?.index === 0 && failure.message.includes("File exists")) return false;
    let message = failure?.message;
    if (failure === undefined) {
      this.#tune(spec, true);
      if (apart) message = (await runBatch(addresses))[0]?.message;
    }
    if (message === undefined) return true;
    if (failure?.index !== 0) await tryRun(["ip", "link", "del", "dev", spec.name]);
    throw failureOf(spec, message);
  }

  async #arrange(spec: BridgeSpec, link: Link | undefined): Promise<EngineError | undefined> {
    const refusal = refuse(spec, link);
    if (refusal !== undefined) return refusal;
    if (link === undefined) {
      if (await this.#create(spec)) return undefined;
      return failureOf(spec, "somebody else made a device of that name");
    }
    const { device, addresses } = planBridge(spec, link);
    const [early] = await runBatch(device);
    if (early !== undefined) return failureOf(spec, early.message);
    this.#tune(spec, isOurs(spec, link));
    const [late] = await runBatch(addresses);
    return late === undefined ? undefined : failureOf(spec, late.message);
  }

  /** Two runs of `ip` for all of them (three where IPv6 is off for new devices): one that looks, one that mends. */
  async setUpAll(networks: readonly NetworkRecord[]): Promise<ReadonlyMap<NetworkId, EngineError>> {
    const failures = new Map<NetworkId, EngineError>();
    if (networks.length === 0) return failures;
    const links = new Map((await readLinks()).map((link) => [link.name, link]));
    const plans = networks.flatMap((network) => {
      const spec = bridgeSpec(network, this.#deps.mtu);
      const link = links.get(spec.name);
      const refusal = refuse(spec, link);
      if (refusal !== undefined) failures.set(network.id, refusal);
      const ours = link === undefined || isOurs(spec, link);
      return refusal === undefined ? [{ id: network.id, spec, ours, plan: planBridge(spec, link) }] : [];
    });
    this.#forward(plans.map(({ spec }) => spec));
    const runAll = async (phase: (plan: (typeof plans)[number]) => readonly string[]): Promise<void> => {
      const commands = plans.flatMap((plan) => phase(plan).map((command) => ({ plan, command })));
      const failed = await runBatch(
        commands.map(({ command }) => command),
        { force: true },
      );
      for (const { index, message } of failed) {
        const plan = commands[index]?.plan;
        if (plan !== undefined && !failures.has(plan.id)) failures.set(plan.id, failureOf(plan.spec, message));
      }
    };
    if (isIpv6OffForNew()) {
      await runAll(({ plan }) => plan.device);
      for (const { spec, ours } of plans) this.#tune(spec, ours);
      await runAll(({ plan }) => plan.addresses);
    } else {
      await runAll(({ plan }) => [...plan.device, ...plan.addresses]);
      for (const { spec, ours } of plans) this.#tune(spec, ours);
    }
    return failures;
  }

  /** Before any bridge: what is new then is a router from its first moment on, and listens to no router. */
  #forward(specs: readonly BridgeSpec[]): void {
    const { ipForward, logger } = this.#deps;
    if (!ipForward || specs.length === 0) return;
    forwardIpv4(logger);
    if (specs.some(usesIpv6)) forwardIpv6(logger);
  }

  #tune(spec: BridgeSpec, ours: boolean): void {
    const { logger } = this.#deps;
    if (usesIpv6(spec)) writeSysctl(`net/ipv6/conf/${spec.name}/disable_ipv6`, "0", logger);
    if (ours) writeSysctl(`net/ipv6/conf/${spec.name}/accept_ra`, "0", logger);
    // Until its link-local address is free of doubt, for a second or two after the first container, the host finds no container
    // on behalf of others. Nobody else can have that address: the MAC is ours.
    if (ours && usesIpv6(spec)) writeSysctl(`net/ipv6/conf/${spec.name}/accept_dad`, "0", logger);
  }

  async tearDown(network: NetworkRecord): Promise<void> {
    const name = network.interface;
    if (name === "") return;
    if (name !== derivedName(network.id)) {
      const link = await readLink(name);
      if (link === undefined || link.alias !== markOf(network.id)) return;
    }
    const { exitCode, stderr } = await tryRun(["ip", "link", "del", "dev", name]);
    if (exitCode !== 0 && !stderr.includes("Cannot find device"))
      throw new EngineError("System", `cannot remove bridge ${name}: ${stderr.trim()}`);
  }

  interfaceOf(...[network, endpoint, driverOptions]: Parameters<Driver["interfaceOf"]>) {
    const { mtu } = bridgeSpec(network, this.#deps.mtu);
    return {
      kind: "veth",
      hostInterface: endpoint.hostInterface,
      parent: network.interface,
      mode: "",
      flag: "",
      name: endpoint.interface,
      mac: endpoint.mac,
      addresses: addressesOf(endpoint),
      mtu,
      sysctls: endpointSysctls(driverOptions, endpoint.interface),
    } as const;
  }

  firewallOf(network: NetworkRecord) {
    const { values } = parseBridgeOptions(network.options);
    const { ip4, ip6 } = gatewayAddresses(network, values);
    return {
      id: network.id,
      name: network.name,
      interface: network.interface,
      subnets: network.subnets.map(({ subnet }) => subnet),
      gateways: [...ip4, ...ip6].map((address) => address.split("/")[0] ?? ""),
      internal: network.internal,
      icc: values.icc,
      masquerade: values.masquerade,
      hostIp4: values.hostIp4,
      hostIp6: values.hostIp6,
      mode4: values.mode4,
      mode6: values.mode6,
      antiSpoofing: values.antiSpoofing,
      trustedInterfaces: values.trustedInterfaces,
      ...(this.#deps.allowDirectRouting === true ? { directRouting: true } : {}),
    };
  }

  async check(network: NetworkRecord, links?: readonly Link[]): Promise<readonly string[]> {
    const spec = bridgeSpec(network, this.#deps.mtu);
    const link = links === undefined ? await readLink(spec.name) : links.find(({ name }) => name === spec.name);
    return complainAboutBridge(spec, link);
  }
}

export function createBridgeDriver(deps: DriverDeps): Driver {
  return new BridgeDriver(deps);
}
