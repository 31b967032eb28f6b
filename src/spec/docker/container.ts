// The container objects of the Docker Engine API 1.51, as on the wire. Units follow the API: Memory and ShmSize are bytes,
// NanoCpus 1e-9 CPU, CpuPeriod and CpuQuota microseconds, StopTimeout seconds, health times nanoseconds; `Created` is RFC 3339
// in inspect and unix seconds in lists. Go clients send null for an empty list or map, so lists and maps may be null.

import type { OCIDescriptor } from "./image.ts";

export interface ContainerConfig {
  readonly Hostname?: string;
  readonly Domainname?: string;
  readonly User?: string;
  readonly AttachStdin?: boolean;
  readonly AttachStdout?: boolean;
  readonly AttachStderr?: boolean;
  readonly ExposedPorts?: Readonly<Record<string, Readonly<Record<string, unknown>>>> | null;
  readonly Tty?: boolean;
  readonly OpenStdin?: boolean;
  readonly StdinOnce?: boolean;
  readonly Env?: readonly string[] | null;
  readonly Cmd?: readonly string[] | null;
  readonly Healthcheck?: HealthConfig;
  readonly ArgsEscaped?: boolean | null;
  readonly Image?: string;
  readonly Volumes?: Readonly<Record<string, Readonly<Record<string, unknown>>>> | null;
  readonly WorkingDir?: string;
  readonly Entrypoint?: readonly string[] | null;
  readonly NetworkDisabled?: boolean | null;
  readonly MacAddress?: string | null;
  readonly OnBuild?: readonly string[] | null;
  readonly Labels?: Readonly<Record<string, string>> | null;
  readonly StopSignal?: string | null;
  readonly StopTimeout?: number | null;
  readonly Shell?: readonly string[] | null;
}

export type HostConfig = Resources & {
  readonly Binds?: readonly string[] | null;
  readonly ContainerIDFile?: string;
  readonly LogConfig?: {
    readonly Type?:
      | "local"
      | "json-file"
      | "syslog"
      | "journald"
      | "gelf"
      | "fluentd"
      | "awslogs"
      | "splunk"
      | "etwlogs"
      | "none";
    readonly Config?: Readonly<Record<string, string>> | null;
  };
  readonly NetworkMode?: string;
  readonly PortBindings?: PortMap;
  readonly RestartPolicy?: RestartPolicy;
  readonly AutoRemove?: boolean;
  readonly VolumeDriver?: string;
  readonly VolumesFrom?: readonly string[] | null;
  readonly Mounts?: readonly Mount[] | null;
  readonly ConsoleSize?: readonly number[] | null;
  readonly Annotations?: Readonly<Record<string, string>> | null;
  readonly CapAdd?: readonly string[] | null;
  readonly CapDrop?: readonly string[] | null;
  readonly CgroupnsMode?: "private" | "host";
  readonly Dns?: readonly string[] | null;
  readonly DnsOptions?: readonly string[] | null;
  readonly DnsSearch?: readonly string[] | null;
  readonly ExtraHosts?: readonly string[] | null;
  readonly GroupAdd?: readonly string[] | null;
  readonly IpcMode?: string;
  readonly Cgroup?: string;
  readonly Links?: readonly string[] | null;
  readonly OomScoreAdj?: number;
  readonly PidMode?: string;
  readonly Privileged?: boolean;
  readonly PublishAllPorts?: boolean;
  readonly ReadonlyRootfs?: boolean;
  readonly SecurityOpt?: readonly string[] | null;
  readonly StorageOpt?: Readonly<Record<string, string>> | null;
  readonly Tmpfs?: Readonly<Record<string, string>> | null;
  readonly UTSMode?: string;
  readonly UsernsMode?: string;
  readonly ShmSize?: number;
  readonly Sysctls?: Readonly<Record<string, string>> | null;
  readonly Runtime?: string | null;
  readonly Isolation?: "default" | "process" | "hyperv" | "";
  readonly MaskedPaths?: readonly string[] | null;
  readonly ReadonlyPaths?: readonly string[] | null;
};

export interface Resources {
  readonly CpuShares?: number;
  readonly Memory?: number;
  readonly CgroupParent?: string;
  readonly BlkioWeight?: number;
  readonly BlkioWeightDevice?:
    | readonly {
        readonly Path?: string;
        readonly Weight?: number;
      }[]
    | null;
  readonly BlkioDeviceReadBps?: readonly ThrottleDevice[] | null;
  readonly BlkioDeviceWriteBps?: readonly ThrottleDevice[] | null;
  readonly BlkioDeviceReadIOps?: readonly ThrottleDevice[] | null;
  readonly BlkioDeviceWriteIOps?: readonly ThrottleDevice[] | null;
  readonly CpuPeriod?: number;
  readonly CpuQuota?: number;
  readonly CpuRealtimePeriod?: number;
  readonly CpuRealtimeRuntime?: number;
  readonly CpusetCpus?: string;
  readonly CpusetMems?: string;
  readonly Devices?: readonly DeviceMapping[] | null;
  readonly DeviceCgroupRules?: readonly string[] | null;
  readonly DeviceRequests?: readonly DeviceRequest[] | null;
  readonly KernelMemoryTCP?: number;
  readonly MemoryReservation?: number;
  readonly MemorySwap?: number;
  readonly MemorySwappiness?: number;
  readonly NanoCpus?: number;
  readonly OomKillDisable?: boolean;
  readonly Init?: boolean | null;
  readonly PidsLimit?: number | null;
  readonly Ulimits?:
    | readonly {
        readonly Name?: string;
        readonly Soft?: number;
        readonly Hard?: number;
      }[]
    | null;
  readonly CpuCount?: number;
  readonly CpuPercent?: number;
  readonly IOMaximumIOps?: number;
  readonly IOMaximumBandwidth?: number;
}

export interface HealthConfig {
  readonly Test?: readonly string[] | null;
  readonly Interval?: number;
  readonly Timeout?: number;
  readonly Retries?: number;
  readonly StartPeriod?: number;
  readonly StartInterval?: number;
}

export interface RestartPolicy {
  readonly Name?: "" | "no" | "always" | "unless-stopped" | "on-failure";
  readonly MaximumRetryCount?: number;
}

export interface DeviceMapping {
  readonly PathOnHost?: string;
  readonly PathInContainer?: string;
  readonly CgroupPermissions?: string;
}

export interface DeviceRequest {
  readonly Driver?: string;
  readonly Count?: number;
  readonly DeviceIDs?: readonly string[] | null;
  readonly Capabilities?: readonly (readonly string[])[] | null;
  readonly Options?: Readonly<Record<string, string>> | null;
}

export interface ThrottleDevice {
  readonly Path?: string;
  readonly Rate?: number;
}

export interface Mount {
  readonly Target?: string;
  readonly Source?: string;
  readonly Type?: "bind" | "volume" | "image" | "tmpfs" | "npipe" | "cluster";
  readonly ReadOnly?: boolean;
  readonly Consistency?: string;
  readonly BindOptions?: {
    readonly Propagation?: "private" | "rprivate" | "shared" | "rshared" | "slave" | "rslave";
    readonly NonRecursive?: boolean;
    readonly CreateMountpoint?: boolean;
    readonly ReadOnlyNonRecursive?: boolean;
    readonly ReadOnlyForceRecursive?: boolean;
  };
  readonly VolumeOptions?: {
    readonly NoCopy?: boolean;
    readonly Labels?: Readonly<Record<string, string>> | null;
    readonly DriverConfig?: {
      readonly Name?: string;
      readonly Options?: Readonly<Record<string, string>> | null;
    };
    readonly Subpath?: string;
  };
  readonly ImageOptions?: {
    readonly Subpath?: string;
  };
  readonly TmpfsOptions?: {
    readonly SizeBytes?: number;
    readonly Mode?: number;
    readonly Options?: readonly (readonly string[])[] | null;
  };
}

export interface MountPoint {
  readonly Type?: "bind" | "volume" | "image" | "tmpfs" | "npipe" | "cluster";
  readonly Name?: string;
  readonly Source?: string;
  readonly Destination?: string;
  readonly Driver?: string;
  readonly Mode?: string;
  readonly RW?: boolean;
  readonly Propagation?: string;
}

export interface Port {
  readonly IP?: string;
  readonly PrivatePort?: number;
  readonly PublicPort?: number;
  readonly Type?: "tcp" | "udp" | "sctp";
}

export interface PortBinding {
  readonly HostIp?: string;
  readonly HostPort?: string;
}

export type PortMap = Readonly<Record<string, readonly PortBinding[] | null>>;

export interface NetworkingConfig {
  readonly EndpointsConfig?: Readonly<Record<string, EndpointSettings>> | null;
}

export interface EndpointSettings {
  readonly IPAMConfig?: EndpointIPAMConfig;
  readonly Links?: readonly string[] | null;
  readonly MacAddress?: string;
  readonly Aliases?: readonly string[] | null;
  readonly DriverOpts?: Readonly<Record<string, string>> | null;
  readonly GwPriority?: number;
  readonly NetworkID?: string;
  readonly EndpointID?: string;
  readonly Gateway?: string;
  readonly IPAddress?: string;
  readonly IPPrefixLen?: number;
  readonly IPv6Gateway?: string;
  readonly GlobalIPv6Address?: string;
  readonly GlobalIPv6PrefixLen?: number;
  readonly DNSNames?: readonly string[] | null;
}

export type EndpointIPAMConfig = {
  readonly IPv4Address?: string;
  readonly IPv6Address?: string;
  readonly LinkLocalIPs?: readonly string[] | null;
} | null;

export interface Address {
  readonly Addr?: string;
  readonly PrefixLen?: number;
}

export type ContainerState = {
  readonly Status?: "created" | "running" | "paused" | "restarting" | "removing" | "exited" | "dead";
  readonly Running?: boolean;
  readonly Paused?: boolean;
  readonly Restarting?: boolean;
  readonly OOMKilled?: boolean;
  readonly Dead?: boolean;
  readonly Pid?: number;
  readonly ExitCode?: number;
  readonly Error?: string;
  readonly StartedAt?: string;
  readonly FinishedAt?: string;
  readonly Health?: Health;
} | null;

export type Health = {
  readonly Status?: "none" | "starting" | "healthy" | "unhealthy";
  readonly FailingStreak?: number;
  readonly Log?: readonly HealthcheckResult[] | null;
} | null;

export type HealthcheckResult = {
  readonly Start?: string;
  readonly End?: string;
  readonly ExitCode?: number;
  readonly Output?: string;
} | null;

export interface NetworkSettings {
  readonly Bridge?: string;
  readonly SandboxID?: string;
  readonly HairpinMode?: boolean;
  readonly LinkLocalIPv6Address?: string;
  readonly LinkLocalIPv6PrefixLen?: number;
  readonly Ports?: PortMap;
  readonly SandboxKey?: string;
  readonly SecondaryIPAddresses?: readonly Address[] | null;
  readonly SecondaryIPv6Addresses?: readonly Address[] | null;
  readonly EndpointID?: string;
  readonly Gateway?: string;
  readonly GlobalIPv6Address?: string;
  readonly GlobalIPv6PrefixLen?: number;
  readonly IPAddress?: string;
  readonly IPPrefixLen?: number;
  readonly IPv6Gateway?: string;
  readonly MacAddress?: string;
  readonly Networks?: Readonly<Record<string, EndpointSettings>> | null;
}

export interface DriverData {
  readonly Name?: string;
  readonly Data?: Readonly<Record<string, string>> | null;
}

export interface Driver {
  readonly Name?: string;
  readonly Options?: Readonly<Record<string, string>> | null;
}

export interface ContainerInspectResponse {
  readonly Id?: string;
  readonly Created?: string | null;
  readonly Path?: string;
  readonly Args?: readonly string[] | null;
  readonly State?: ContainerState;
  readonly Image?: string;
  readonly ResolvConfPath?: string;
  readonly HostnamePath?: string;
  readonly HostsPath?: string;
  readonly LogPath?: string | null;
  readonly Name?: string;
  readonly RestartCount?: number;
  readonly Driver?: string;
  readonly Platform?: string;
  readonly ImageManifestDescriptor?: OCIDescriptor;
  readonly MountLabel?: string;
  readonly ProcessLabel?: string;
  readonly AppArmorProfile?: string;
  readonly ExecIDs?: readonly string[] | null;
  readonly HostConfig?: HostConfig;
  readonly GraphDriver?: DriverData;
  readonly SizeRw?: number | null;
  readonly SizeRootFs?: number | null;
  readonly Mounts?: readonly MountPoint[] | null;
  readonly Config?: ContainerConfig;
  readonly NetworkSettings?: NetworkSettings;
}

export interface ContainerSummary {
  readonly Id?: string;
  readonly Names?: readonly string[] | null;
  readonly Image?: string;
  readonly ImageID?: string;
  readonly ImageManifestDescriptor?: OCIDescriptor;
  readonly Command?: string;
  readonly Created?: number;
  readonly Ports?: readonly Port[] | null;
  readonly SizeRw?: number | null;
  readonly SizeRootFs?: number | null;
  readonly Labels?: Readonly<Record<string, string>> | null;
  readonly State?: "created" | "running" | "paused" | "restarting" | "exited" | "removing" | "dead";
  readonly Status?: string;
  readonly HostConfig?: {
    readonly NetworkMode?: string;
    readonly Annotations?: Readonly<Record<string, string>> | null;
  };
  readonly NetworkSettings?: {
    readonly Networks?: Readonly<Record<string, EndpointSettings>> | null;
  };
  readonly Mounts?: readonly MountPoint[] | null;
}

export interface ContainerCreateResponse {
  readonly Id?: string;
  readonly Warnings?: readonly string[] | null;
}

export interface ContainerWaitResponse {
  readonly StatusCode?: number;
  readonly Error?: ContainerWaitExitError;
}

export interface ContainerWaitExitError {
  readonly Message?: string;
}

export interface ContainerTopResponse {
  readonly Titles?: readonly string[] | null;
  readonly Processes?: readonly (readonly string[])[] | null;
}

export type ContainerStorageStats = {
  readonly read_count_normalized?: number | null;
  readonly read_size_bytes?: number | null;
  readonly write_count_normalized?: number | null;
  readonly write_size_bytes?: number | null;
} | null;

export interface ProcessConfig {
  readonly privileged?: boolean;
  readonly user?: string;
  readonly tty?: boolean;
  readonly entrypoint?: string;
  readonly arguments?: readonly string[] | null;
}
