// The networking part of a create request: one endpoint, under the name of the network that NetworkMode means, with the MAC
// address that older clients put into the container's configuration. Pure.
// Source: Engine API 1.51, NetworkingConfig; behaviour of dockerd 28.5.

import type { ContainerConfig, EndpointSettings, NetworkingConfig } from "../../spec/docker/container.ts";

export interface PlannedNetworking {
  /** Without MacAddress: the endpoint has it. */
  readonly config: ContainerConfig;
  readonly networkingConfig: NetworkingConfig;
  readonly invalid: readonly string[];
  readonly unsupported: readonly string[];
  readonly warnings: readonly string[];
}

const macWarning =
  "The container-wide MacAddress field is now deprecated. It should be specified in EndpointsConfig instead.";

/** @param mode HostConfig.NetworkMode with the defaults filled in */
export function planNetworking(asked: ContainerConfig, mode: string, networking: NetworkingConfig): PlannedNetworking {
  const { MacAddress, ...config } = asked;
  const containerMac = MacAddress ?? "";
  const invalid: string[] = [];
  const unsupported: string[] = [];
  const warnings: string[] = [];
  let endpoint: EndpointSettings | undefined;
  for (const [name, settings] of Object.entries(networking.EndpointsConfig ?? {})) {
    const network = name === "default" ? "bridge" : name;
    if (network !== mode) unsupported.push(fieldsOf(name));
    else endpoint = { ...endpoint, ...settings };
    if (Object.keys(settings.DriverOpts ?? {}).length > 0) unsupported.push(`${fieldsOf(name)}.DriverOpts`);
    if ((settings.Links ?? []).length > 0) unsupported.push(`${fieldsOf(name)}.Links`);
  }
  if (containerMac !== "" && mode !== "host" && mode !== "none") {
    const endpointMac = endpoint?.MacAddress ?? "";
    if (endpointMac !== "" && endpointMac !== containerMac) {
      invalid.push(
        "the container-wide MAC address must match the endpoint-specific MAC address for the main network, or be left empty",
      );
    }
    endpoint = { ...endpoint, MacAddress: containerMac };
  }
  if (containerMac !== "") warnings.push(macWarning);
  const networkingConfig = endpoint === undefined ? {} : { EndpointsConfig: { [mode]: endpoint } };
  return { config, networkingConfig, invalid, unsupported, warnings };
}

function fieldsOf(name: string): string {
  return `NetworkingConfig.EndpointsConfig[${JSON.stringify(name)}]`;
}

/** The MAC address as inspect shows it in the configuration; "" where the container has no interface of its own. */
export function macAddressOf(mode: string, networking: NetworkingConfig): string {
  return mode === "host" || mode === "none" ? "" : (networking.EndpointsConfig?.[mode]?.MacAddress ?? "");
}
