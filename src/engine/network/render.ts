// Endpoints and network settings in the API's shapes, with every field that dockerd writes. Pure.
// Source: Engine API 1.51, EndpointSettings, NetworkSettings.

import { createHash } from "node:crypto";
import type { EndpointSettings, NetworkSettings, PortMap } from "../../spec/docker/container.ts";
import type { Endpoint } from "./record.ts";

const noEndpoint = {
  MacAddress: "",
  NetworkID: "",
  EndpointID: "",
  Gateway: "",
  IPAddress: "",
  IPPrefixLen: 0,
  IPv6Gateway: "",
  GlobalIPv6Address: "",
  GlobalIPv6PrefixLen: 0,
  DNSNames: null,
} as const satisfies EndpointSettings;

/** What of an endpoint's settings the client has a say in and keeps, whatever happens to the container. */
function renderAsked({ IPAMConfig, Links, Aliases, DriverOpts, GwPriority }: EndpointSettings): EndpointSettings {
  return {
    IPAMConfig: IPAMConfig ?? null,
    Links: Links ?? null,
    Aliases: Aliases ?? null,
    DriverOpts: DriverOpts ?? null,
    GwPriority: GwPriority ?? 0,
  };
}

/** The endpoint of a container that never ran. */
export function renderUnused(asked: EndpointSettings): EndpointSettings {
  return { ...noEndpoint, ...renderAsked(asked), MacAddress: asked.MacAddress ?? "" };
}

/** The endpoint of a container that has run and does not now. @param names as the name server knew it */
export function renderPast(asked: EndpointSettings, networkId: string, names: readonly string[]): EndpointSettings {
  return {
    ...noEndpoint,
    ...renderAsked(asked),
    NetworkID: networkId,
    DNSNames: names.length === 0 ? null : names,
  };
}

/** A container's place on a network while it runs. */
export function renderEndpoint(endpoint: Endpoint, asked: EndpointSettings): EndpointSettings {
  return {
    ...renderAsked(asked),
    MacAddress: endpoint.mac,
    NetworkID: endpoint.networkId,
    EndpointID: endpoint.id,
    Gateway: endpoint.gateway,
    IPAddress: endpoint.ip,
    IPPrefixLen: endpoint.prefix,
    IPv6Gateway: endpoint.gateway6,
    GlobalIPv6Address: endpoint.ip6,
    GlobalIPv6PrefixLen: endpoint.prefix6,
    DNSNames: endpoint.names.length === 0 ? null : endpoint.names,
  };
}

/**
 * @param sandboxKey path of the container's network namespace, "" when it does not run
 * @param bridged    the endpoint on the default bridge, repeated in the fields from before networks had names
 */
export function renderSettings(
  sandboxId: string,
  sandboxKey: string,
  ports: PortMap,
  networks: Readonly<Record<string, EndpointSettings>>,
  bridged: EndpointSettings | undefined,
): NetworkSettings {
  return {
    Bridge: "",
    SandboxID: sandboxId,
    SandboxKey: sandboxKey,
    Ports: ports,
    HairpinMode: false,
    LinkLocalIPv6Address: "",
    LinkLocalIPv6PrefixLen: 0,
    SecondaryIPAddresses: null,
    SecondaryIPv6Addresses: null,
    EndpointID: bridged?.EndpointID ?? "",
    Gateway: bridged?.Gateway ?? "",
    GlobalIPv6Address: bridged?.GlobalIPv6Address ?? "",
    GlobalIPv6PrefixLen: bridged?.GlobalIPv6PrefixLen ?? 0,
    IPAddress: bridged?.IPAddress ?? "",
    IPPrefixLen: bridged?.IPPrefixLen ?? 0,
    IPv6Gateway: bridged?.IPv6Gateway ?? "",
    MacAddress: bridged?.MacAddress ?? "",
    Networks: networks,
  };
}

/** An id of 64 hex digits that is the same for the same parts: for what exists only as long as the container runs. */
export function derivedId(...parts: readonly string[]): string {
  return createHash("sha256").update(parts.join("\0")).digest("hex");
}
