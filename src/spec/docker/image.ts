// The image objects of the Docker Engine API 1.51, as on the wire. `Created` is RFC 3339 in inspect, unix seconds in lists.

import type { DriverData, HealthConfig } from "./container.ts";

export interface ImageConfig {
  readonly User?: string;
  readonly ExposedPorts?: Readonly<Record<string, Readonly<Record<string, unknown>>>> | null;
  readonly Env?: readonly string[] | null;
  readonly Cmd?: readonly string[] | null;
  readonly Healthcheck?: HealthConfig;
  readonly ArgsEscaped?: boolean | null;
  readonly Volumes?: Readonly<Record<string, Readonly<Record<string, unknown>>>> | null;
  readonly WorkingDir?: string;
  readonly Entrypoint?: readonly string[] | null;
  readonly OnBuild?: readonly string[] | null;
  readonly Labels?: Readonly<Record<string, string>> | null;
  readonly StopSignal?: string | null;
  readonly Shell?: readonly string[] | null;
}

export interface ImageInspect {
  readonly Id?: string;
  readonly Descriptor?: OCIDescriptor;
  readonly Manifests?: readonly ImageManifestSummary[] | null;
  readonly RepoTags?: readonly string[] | null;
  readonly RepoDigests?: readonly string[] | null;
  readonly Parent?: string;
  readonly Comment?: string;
  readonly Created?: string | null;
  readonly DockerVersion?: string;
  readonly Author?: string;
  readonly Config?: ImageConfig;
  readonly Architecture?: string;
  readonly Variant?: string | null;
  readonly Os?: string;
  readonly OsVersion?: string | null;
  readonly Size?: number;
  readonly GraphDriver?: DriverData;
  readonly RootFS?: {
    readonly Type?: string;
    readonly Layers?: readonly string[] | null;
  };
  readonly Metadata?: {
    readonly LastTagTime?: string | null;
  };
}

export interface ImageSummary {
  readonly Id?: string;
  readonly ParentId?: string;
  readonly RepoTags?: readonly string[] | null;
  readonly RepoDigests?: readonly string[] | null;
  readonly Created?: number;
  readonly Size?: number;
  readonly SharedSize?: number;
  readonly Labels?: Readonly<Record<string, string>> | null;
  readonly Containers?: number;
  readonly Manifests?: readonly ImageManifestSummary[] | null;
  readonly Descriptor?: OCIDescriptor;
}

export interface ImageDeleteResponseItem {
  readonly Untagged?: string;
  readonly Deleted?: string;
}

export interface OCIDescriptor {
  readonly mediaType?: string;
  readonly digest?: string;
  readonly size?: number;
  readonly urls?: readonly string[] | null;
  readonly annotations?: Readonly<Record<string, string>> | null;
  readonly data?: string | null;
  readonly platform?: OCIPlatform;
  readonly artifactType?: string | null;
}

export type OCIPlatform = {
  readonly architecture?: string;
  readonly os?: string;
  readonly "os.version"?: string;
  readonly "os.features"?: readonly string[];
  readonly variant?: string;
} | null;

export interface ImageManifestSummary {
  readonly ID?: string;
  readonly Descriptor?: OCIDescriptor;
  readonly Available?: boolean;
  readonly Size?: {
    readonly Total?: number;
    readonly Content?: number;
  };
  readonly Kind?: "image" | "attestation" | "unknown";
  readonly ImageData?: {
    readonly Platform?: OCIPlatform;
    readonly Containers?: readonly string[] | null;
    readonly Size?: {
      readonly Unpacked?: number;
    };
  } | null;
  readonly AttestationData?: {
    readonly For?: string;
  } | null;
}
