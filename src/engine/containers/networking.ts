// The networking part of a create request: what is asked of each network, under the networks' names, with the MAC address that
// older clients put into the container's configuration. Pure. Source: Engine API 1.51, NetworkingConfig; behaviour of dockerd 28.5.

import type { ContainerConfig, EndpointSettings, NetworkingConfig } from "../../spec/docker/container.ts";

export interface PlannedNetworking {
  /** Without MacAddress: the endpoint has it. */
  readonly config: ContainerConfig;
  /** Always with EndpointsConfig: later changes of the container's networks are written there. */
  readonly networkingConfig: NetworkingConfig;
  readonly invalid: readonly string[];
  readonly warnings: readonly string[];
}

const macWarning =
  "The container-wide MacAddress field is now deprecated. It should be specified in EndpointsConfig instead.";

/**
 * @param mode      name of the network that HostConfig.NetworkMode means, or "container:…"
 * @param canonical the name of the network that a name or an id means; the text itself where there is none
 */
export function planNetworking(
  asked: ContainerConfig,
  mode: string,
  networking: NetworkingConfig,
  canonical: (nameOrId: string) => string,
): PlannedNetworking {
  const { MacAddress, ...config } = asked;
  const containerMac = MacAddress ?? "";
  const invalid: string[] = [];
  const endpoints: Record<string, EndpointSettings> = {};
  // Who shares another's network has no place on any; dockerd passes over what is said about it.
  const own = !mode.startsWith("container:") && asked.NetworkDisabled !== true;
  for (const [name, settings] of own ? Object.entries(networking.EndpointsConfig ?? {}) : []) {
    const network = canonical(name);
    endpoints[network] = { ...endpoints[network], ...settings };
  }
  if (own && Object.keys(endpoints).length === 0) endpoints[mode] = {};
  if (containerMac !== "" && own && mode !== "host" && mode !== "none") {
    const main = endpoints[mode];
    const mac = main?.MacAddress ?? "";
    if (main === undefined)
      invalid.push(
        "if a container-wide MAC address is supplied, HostConfig.NetworkMode must match the identity of a network in NetworkSettings.Networks",
      );
    else if (mac !== "" && mac !== containerMac)
      invalid.push(
        "the container-wide MAC address must match the endpoint-specific MAC address for the main network, or be left empty",
      );
    else endpoints[mode] = { ...main, MacAddress: containerMac };
  }
  return {
    config,
    networkingConfig: { EndpointsConfig: endpoints },
    invalid,
    warnings: containerMac === "" ? [] : [macWarning],
  };
}

/** The MAC address as inspect shows it in the configuration; "" where the container has no interface of its own. */
export function macAddressOf(mode: string, networking: NetworkingConfig): string {
  return mode === "host" || mode === "none" ? "" : (networking.EndpointsConfig?.[mode]?.MacAddress ?? "");
}
