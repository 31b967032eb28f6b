// The network objects of the Docker Engine API 1.51, as on the wire.

export interface Network {
  readonly Name?: string;
  readonly Id?: string;
  readonly Created?: string;
  readonly Scope?: string;
  readonly Driver?: string;
  readonly EnableIPv4?: boolean;
  readonly EnableIPv6?: boolean;
  readonly IPAM?: IPAM;
  readonly Internal?: boolean;
  readonly Attachable?: boolean;
  readonly Ingress?: boolean;
  readonly ConfigFrom?: ConfigReference;
  readonly ConfigOnly?: boolean;
  readonly Containers?: Readonly<Record<string, NetworkContainer>> | null;
  readonly Options?: Readonly<Record<string, string>> | null;
  readonly Labels?: Readonly<Record<string, string>> | null;
  readonly Peers?: readonly PeerInfo[] | null;
}

export interface IPAM {
  readonly Driver?: string;
  readonly Config?: readonly IPAMConfig[] | null;
  readonly Options?: Readonly<Record<string, string>> | null;
}

export interface IPAMConfig {
  readonly Subnet?: string;
  readonly IPRange?: string;
  readonly Gateway?: string;
  readonly AuxiliaryAddresses?: Readonly<Record<string, string>> | null;
}

export interface NetworkContainer {
  readonly Name?: string;
  readonly EndpointID?: string;
  readonly MacAddress?: string;
  readonly IPv4Address?: string;
  readonly IPv6Address?: string;
}

export interface ConfigReference {
  readonly Network?: string;
}

export interface PeerInfo {
  readonly Name?: string;
  readonly IP?: string;
}
