// Which networks a container asks for, and what it asks of each: out of its record, in the order in which they are
// connected. Reads the room; changes nothing. Source: behaviour of dockerd 28.5 at create and start.

import { EngineError } from "../../base/errors.ts";
import type { EndpointSettings } from "../../spec/docker/container.ts";
import type { NetworkRequest } from "./index.ts";
import type { NetworkRecord } from "./record.ts";
import type { NetworkRoom } from "./room.ts";
import { parseNetworkMode } from "./validate.ts";

export interface AskedEndpoint {
  readonly network: NetworkRecord;
  readonly settings: EndpointSettings;
}

type Asking = Pick<NetworkRequest, "config" | "hostConfig" | "networkingConfig">;

/** Names, as the record has them, with what is asked of each; empty where the container shares or has no network. */
export function askedNames({
  config,
  hostConfig,
  networkingConfig,
}: Asking): Readonly<Record<string, EndpointSettings>> {
  const mode = parseNetworkMode(hostConfig.NetworkMode);
  if (mode.kind === "container" || config.NetworkDisabled === true) return {};
  return networkingConfig.EndpointsConfig ?? { [mode.name]: {} };
}

/** The network of a name in a container's record; without a default bridge its containers are on none, as in dockerd. */
export function networkNamed(room: NetworkRoom, name: string): NetworkRecord {
  const known = name === "default" ? "bridge" : name;
  return room.find(known === "bridge" && room.deps.config.bridge === "none" ? "none" : known);
}

/** What is asked of a network; {} where nothing is. */
export function settingsAsked(room: NetworkRoom, request: Asking, network: NetworkRecord): EndpointSettings {
  const names = askedNames(request);
  const direct = names[network.name] ?? names[network.id];
  if (direct !== undefined) return direct;
  const [, settings = {}] =
    Object.entries(names).find(([name]) => nameOf(room, name)?.id === network.id) ?? ([] as const);
  return settings;
}

function nameOf(room: NetworkRoom, name: string): NetworkRecord | undefined {
  try {
    return networkNamed(room, name);
  } catch {
    return undefined;
  }
}

/** What cannot be combined, in dockerd's words; undefined where all is well. */
export function complainAboutCombination(networks: readonly NetworkRecord[]): string | undefined {
  if (networks.length < 2) return undefined;
  if (networks.some(({ driver }) => driver === "host"))
    return "container sharing network namespace with another container or host cannot be connected to any other network";
  return networks.some(({ driver }) => driver === "null")
    ? "container cannot be connected to multiple networks with one of the networks in private (none) mode"
    : undefined;
}

/**
 * The networks to connect at a start, by priority for the gateway and then by name.
 *
 * @throws NotFound         a network that is not there
 * @throws InvalidParameter networks that cannot be combined, or one that is only a configuration
 */
export function askedNetworks(room: NetworkRoom, request: Asking): readonly AskedEndpoint[] {
  const asked = Object.entries(askedNames(request)).map(([name, settings]) => ({
    network: networkNamed(room, name),
    settings,
  }));
  const complaint = complainAboutCombination(asked.map(({ network }) => network));
  if (complaint !== undefined) throw new EngineError("InvalidParameter", complaint);
  for (const { network } of asked) refuseUnusable(room, network);
  return asked.sort(
    (a, b) => priorityOf(b.settings) - priorityOf(a.settings) || (a.network.name < b.network.name ? -1 : 1),
  );
}

/** @throws Forbidden a configuration for other networks; System its set-up on the host failed */
export function refuseUnusable(room: NetworkRoom, network: NetworkRecord): void {
  if (network.configOnly) throw new EngineError("Forbidden", "cannot create endpoint on configuration-only network");
  const broken = room.broken.get(network.id);
  if (broken !== undefined)
    throw new EngineError(broken.kind, `network ${network.name} could not be set up: ${broken.message}`);
}

export function priorityOf(settings: EndpointSettings): number {
  return settings.GwPriority ?? 0;
}

/** Whether names are answered on it: every network that somebody made. */
export function isUserDefined({ name, driver }: NetworkRecord): boolean {
  return name !== "bridge" && driver !== "host" && driver !== "null";
}
