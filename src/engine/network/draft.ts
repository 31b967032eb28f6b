// What a request for a new network means: defaults filled in, a configuration-only network's settings taken over, and everything
// that is wrong with it found before any effect. Pure. Source: behaviour of dockerd 28.5.

import { EngineError } from "../../base/errors.ts";
import type { NetworkId } from "../../base/ids.ts";
import type { IPAMConfig } from "../../spec/docker/network.ts";
import type { CreateNetworkRequest } from "../api/ports.ts";
import type { Driver, Drivers, NetworkDraft } from "./drivers/index.ts";
import type { DefaultNetworkOptions } from "./index.ts";
import { complainAboutSubnets, joinComplaints, parseCidr } from "./ipam/index.ts";
import { type DriverName, type NetworkRecord, plainNetwork } from "./record.ts";

/** Option keys that stand for the fields of the same meaning. */
const familyKeys = { ipv4: "com.docker.network.enable_ipv4", ipv6: "com.docker.network.enable_ipv6" } as const;

const predefined: ReadonlySet<string> = new Set(["bridge", "host", "none", "default"]);
const maxNameBytes = 255;

/** Whether it is one of the engine's own networks, which nobody makes or removes. */
export function isPredefined(name: string): boolean {
  return predefined.has(name);
}

/** @throws InvalidParameter, Forbidden a name that no network can have */
function checkName(name: string): void {
  if (name.trim() === "") throw new EngineError("InvalidParameter", "invalid name: name is empty");
  // The space at the end is dockerd's.
  if (isPredefined(name))
    throw new EngineError("Forbidden", `operation is not permitted on predefined ${name} network `);
}

function complainAboutName(name: string): readonly string[] {
  const shown = JSON.stringify(name.slice(0, 64));
  // oxlint-disable-next-line no-control-regex
  if (/[\s\u0000-\u001f\u007f-\u009f]/u.test(name))
    return [`invalid network name ${shown}: spaces and control characters are not allowed`];
  const bytes = Buffer.byteLength(name);
  if (bytes > maxNameBytes)
    return [`invalid network name ${shown}…: it is ${bytes} bytes long, and at most ${maxNameBytes} are allowed`];
  return name.startsWith("container:")
    ? [`invalid network name ${shown}: it would mean another container's network`]
    : [];
}

/** @throws Forbidden what belongs to swarm */
function refuseSwarm(request: CreateNetworkRequest): void {
  if (request.Driver === "overlay")
    throw new EngineError(
      "Forbidden",
      'This node is not a swarm manager. Use "docker swarm init" or "docker swarm join" to connect this node to swarm and try again.',
    );
  if (request.Scope === "swarm")
    throw new EngineError("Forbidden", "cannot create a swarm scoped network when swarm is not active");
  if (request.Ingress === true && request.ConfigOnly !== true)
    throw new EngineError("Forbidden", "Ingress network can only be global scope network");
}

function isFilled(map: Readonly<Record<string, string>> | null | undefined): boolean {
  return Object.keys(map ?? {}).length > 0;
}

/** @throws Forbidden fields that a configuration-only network, or one that depends on one, cannot have; NotFound no such one */
function sourceOf(request: CreateNetworkRequest, others: readonly NetworkRecord[]): NetworkRecord | undefined {
  const from = request.ConfigFrom?.Network ?? "";
  if (request.ConfigOnly === true) {
    if (
      request.Internal === true ||
      request.Attachable === true ||
      request.Ingress === true ||
      (request.Scope ?? "") !== ""
    )
      throw new EngineError(
        "Forbidden",
        "configuration network can only contain network specific fields. Network operator fields like [ ingress | internal | attachable | scope ] are not supported.",
      );
    if (from !== "")
      throw new EngineError("Forbidden", "a configuration network cannot depend on another configuration network");
  }
  if (from === "") return undefined;
  const source = others.find(({ name, id, configOnly }) => configOnly && (name === from || id === from));
  if (source === undefined)
    throw new EngineError("NotFound", `configuration network ${JSON.stringify(from)} does not exist`);
  const ipam = request.IPAM ?? {};
  if (
    request.EnableIPv6 === true ||
    isFilled(request.Labels) ||
    isFilled(ipam.Options) ||
    (ipam.Config ?? []).length > 0 ||
    !["", "default"].includes(ipam.Driver ?? "")
  )
    throw new EngineError(
      "Forbidden",
      "user specified configurations are not supported if the network depends on a configuration network",
    );
  if (isFilled(request.Options))
    throw new EngineError(
      "Forbidden",
      "network driver options are not supported if the network depends on a configuration network",
    );
  return source;
}

/** @throws NotFound no such driver; Forbidden one of which there is one network only */
function driverNamed(drivers: Drivers, text: string): { readonly name: DriverName; readonly driver: Driver } {
  const name = Object.keys(drivers).find((key): key is DriverName => key === text);
  if (name === undefined) throw new EngineError("NotFound", `plugin ${JSON.stringify(text)} not found`);
  if (!drivers[name].creatable)
    throw new EngineError("Forbidden", `only one instance of ${JSON.stringify(name)} network is allowed`);
  return { name, driver: drivers[name] };
}

/** @throws InvalidParameter an option that is no boolean */
function familyEnabled(
  field: boolean | undefined,
  options: Readonly<Record<string, string>>,
  key: string,
  otherwise: boolean,
): boolean {
  if (field !== undefined) return field;
  const text = options[key];
  if (text === undefined) return otherwise;
  if (/^(1|t|T|TRUE|true|True)$/.test(text)) return true;
  if (/^(0|f|F|FALSE|false|False)$/.test(text)) return false;
  throw new EngineError("InvalidParameter", `driver-opt ${JSON.stringify(key)} is not a valid bool`);
}

/** The configuration as asked for, nulls and absent fields alike. */
function copyConfig({ Subnet, IPRange, Gateway, AuxiliaryAddresses }: IPAMConfig): IPAMConfig {
  return {
    ...(Subnet === undefined ? {} : { Subnet }),
    ...(IPRange === undefined || IPRange === "" ? {} : { IPRange }),
    ...(Gateway === undefined || Gateway === "" ? {} : { Gateway }),
    ...(isFilled(AuxiliaryAddresses) ? { AuxiliaryAddresses: AuxiliaryAddresses ?? {} } : {}),
  };
}

function checkIpamDriver(name: string): void {
  if (name === "" || name === "default") return;
  if (name === "null") throw new EngineError("NotImplemented", "the IPAM driver null is not supported: use default");
  throw new EngineError("NotFound", `plugin ${JSON.stringify(name)} not found`);
}

/**
 * @param id     of the network to be
 * @param others all networks there are
 * @throws InvalidParameter everything that is wrong with the request, a line each
 * @throws Forbidden        a name that is reserved, what belongs to swarm, fields that exclude each other
 * @throws Conflict         the name is in use
 * @throws NotFound         no such driver, IPAM driver or configuration network
 */
export function draftNetwork(
  id: NetworkId,
  request: CreateNetworkRequest,
  others: readonly NetworkRecord[],
  drivers: Drivers,
  defaults: DefaultNetworkOptions,
): NetworkDraft {
  const { Name: name } = request;
  checkName(name);
  refuseSwarm(request);
  if (others.some((other) => other.name === name))
    throw new EngineError("Conflict", `network with name ${name} already exists`);
  const source = sourceOf(request, others);
  checkIpamDriver(request.IPAM?.Driver ?? "");
  const configOnly = request.ConfigOnly === true;
  const asked = configOnly ? undefined : driverNamed(drivers, (request.Driver ?? "") || "bridge");
  const options: Readonly<Record<string, string>> = {
    ...(asked === undefined ? {} : defaults[asked.name]),
    ...(source?.options ?? request.Options),
  };
  const ipamConfig = source?.ipamConfig ?? (request.IPAM?.Config ?? []).map(copyConfig);
  const draft: NetworkDraft = {
    ...plainNetwork,
    id,
    name,
    driver: asked?.name ?? "null",
    enableIpv4: source?.enableIpv4 ?? familyEnabled(request.EnableIPv4, options, familyKeys.ipv4, true),
    enableIpv6: source?.enableIpv6 ?? familyEnabled(request.EnableIPv6, options, familyKeys.ipv6, false),
    internal: request.Internal === true,
    attachable: request.Attachable === true,
    configOnly,
    configFrom: source?.name ?? "",
    ipamOptions: source?.ipamOptions ?? request.IPAM?.Options ?? null,
    ipamConfig,
    subnetsAsked: ipamConfig.length > 0,
    options,
    labels: source?.labels ?? request.Labels ?? {},
  };
  const complaints = complain(draft, asked?.driver, others);
  if (complaints.length > 0) throw new EngineError("InvalidParameter", complaints.join("\n"));
  if (draft.driver === "bridge" && hasTwoOfAFamily(draft))
    throw new EngineError("Forbidden", "bridge driver doesn't support multiple subnets");
  return draft;
}

function complain(
  draft: NetworkDraft,
  driver: Driver | undefined,
  others: readonly NetworkRecord[],
): readonly string[] {
  const subnets = complainAboutSubnets(draft.ipamConfig, draft.enableIpv6);
  return [
    ...complainAboutName(draft.name),
    ...(draft.enableIpv4 || draft.enableIpv6 ? [] : ["IPv4 or IPv6 must be enabled"]),
    ...(subnets.length === 0 ? [] : [joinComplaints(subnets)]),
    ...(driver?.validate(draft, others) ?? []),
  ];
}

function hasTwoOfAFamily({ ipamConfig, enableIpv4, enableIpv6 }: NetworkDraft): boolean {
  const families = ipamConfig.map(({ Subnet = "" }) => parseCidr(Subnet)?.subnet.family);
  const count = (family: 4 | 6): number => families.filter((other) => other === family).length;
  return (enableIpv4 && count(4) > 1) || (enableIpv6 && count(6) > 1);
}
