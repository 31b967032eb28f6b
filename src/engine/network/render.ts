// Networks, endpoints and network settings in the API's shapes, with every field that dockerd writes. Pure.
// Source: Engine API 1.51, Network, EndpointSettings, NetworkSettings.

import { createHash } from "node:crypto";
import type { EndpointSettings, NetworkSettings } from "../../spec/docker/container.ts";
import type { Network, NetworkContainer } from "../../spec/docker/network.ts";
import type { Endpoint, NetworkRecord } from "./record.ts";

export function renderNetwork(record: NetworkRecord, containers: Readonly<Record<string, NetworkContainer>>): Network {
  const [subnet] = record.subnets;
  return {
    Name: record.name,
    Id: record.id,
    Created: record.created,
    Scope: "local",
    Driver: record.driver,
    EnableIPv4: true,
    EnableIPv6: false,
    IPAM: {
      Driver: "default",
      Options: null,
      Config: subnet === undefined ? null : [{ Subnet: subnet.subnet, Gateway: subnet.gateway }],
    },
    Internal: false,
    Attachable: false,
    Ingress: false,
    ConfigFrom: { Network: "" },
    ConfigOnly: false,
    Containers: containers,
    Options:
      subnet === undefined
        ? {}
        : {
            "com.docker.network.bridge.default_bridge": "true",
            "com.docker.network.bridge.enable_icc": "true",
            "com.docker.network.bridge.enable_ip_masquerade": "true",
            "com.docker.network.bridge.name": record.interface,
            "com.docker.network.driver.mtu": "1500",
          },
    Labels: {},
  };
}

const noEndpoint = {
  IPAMConfig: null,
  Links: null,
  Aliases: null,
  MacAddress: "",
  DriverOpts: null,
  GwPriority: 0,
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
function renderAsked({ IPAMConfig, Aliases, GwPriority }: EndpointSettings): EndpointSettings {
  return { ...noEndpoint, IPAMConfig: IPAMConfig ?? null, Aliases: Aliases ?? null, GwPriority: GwPriority ?? 0 };
}

/** The endpoint of a container that never ran. */
export function renderUnused(asked: EndpointSettings): EndpointSettings {
  return { ...renderAsked(asked), MacAddress: asked.MacAddress ?? "" };
}

/** A container's place on a network; `endpoint` undefined where it has no address, `endpointId` "" when it does not run. */
export function renderEndpoint(
  networkId: string,
  endpointId: string,
  endpoint: Endpoint | undefined,
  asked: EndpointSettings = {},
): EndpointSettings {
  if (endpoint === undefined) return { ...renderAsked(asked), NetworkID: networkId, EndpointID: endpointId };
  return {
    ...renderAsked(asked),
    MacAddress: endpoint.mac,
    NetworkID: networkId,
    EndpointID: endpoint.id,
    Gateway: endpoint.gateway,
    IPAddress: endpoint.ip,
    IPPrefixLen: endpoint.prefix,
  };
}

/**
 * @param sandboxKey path of the container's network namespace, "" when it does not run
 * @param bridged    the endpoint on the default bridge, repeated in the fields from before networks had names
 */
export function renderSettings(
  sandboxId: string,
  sandboxKey: string,
  networks: Readonly<Record<string, EndpointSettings>>,
  bridged: Endpoint | undefined,
): NetworkSettings {
  return {
    Bridge: "",
    SandboxID: sandboxId,
    SandboxKey: sandboxKey,
    Ports: {},
    HairpinMode: false,
    LinkLocalIPv6Address: "",
    LinkLocalIPv6PrefixLen: 0,
    SecondaryIPAddresses: null,
    SecondaryIPv6Addresses: null,
    EndpointID: bridged?.id ?? "",
    Gateway: bridged?.gateway ?? "",
    GlobalIPv6Address: "",
    GlobalIPv6PrefixLen: 0,
    IPAddress: bridged?.ip ?? "",
    IPPrefixLen: bridged?.prefix ?? 0,
    IPv6Gateway: "",
    MacAddress: bridged?.mac ?? "",
    Networks: networks,
  };
}

/** A member of the Containers map of a network. */
export function renderMember(name: string, endpointId: string, endpoint: Endpoint | undefined): NetworkContainer {
  return {
    Name: name,
    EndpointID: endpointId,
    MacAddress: endpoint?.mac ?? "",
    IPv4Address: endpoint === undefined ? "" : `${endpoint.ip}/${endpoint.prefix}`,
    IPv6Address: "",
  };
}

/** An id of 64 hex digits that is the same for the same parts: for what exists only as long as the container runs. */
export function derivedId(...parts: readonly string[]): string {
  return createHash("sha256").update(parts.join("\0")).digest("hex");
}
