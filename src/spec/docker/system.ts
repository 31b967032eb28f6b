// The system and event objects of the Docker Engine API 1.51, as on the wire.

export interface SystemInfo {
  readonly ID?: string;
  readonly Containers?: number;
  readonly ContainersRunning?: number;
  readonly ContainersPaused?: number;
  readonly ContainersStopped?: number;
  readonly Images?: number;
  readonly Driver?: string;
  readonly DriverStatus?: readonly (readonly string[])[] | null;
  readonly DockerRootDir?: string;
  readonly Plugins?: PluginsInfo;
  readonly MemoryLimit?: boolean;
  readonly SwapLimit?: boolean;
  readonly KernelMemoryTCP?: boolean;
  readonly CpuCfsPeriod?: boolean;
  readonly CpuCfsQuota?: boolean;
  readonly CPUShares?: boolean;
  readonly CPUSet?: boolean;
  readonly PidsLimit?: boolean;
  readonly OomKillDisable?: boolean;
  readonly IPv4Forwarding?: boolean;
  readonly Debug?: boolean;
  readonly NFd?: number;
  readonly NGoroutines?: number;
  readonly SystemTime?: string;
  readonly LoggingDriver?: string;
  readonly CgroupDriver?: "cgroupfs" | "systemd" | "none";
  readonly CgroupVersion?: "1" | "2";
  readonly NEventsListener?: number;
  readonly KernelVersion?: string;
  readonly OperatingSystem?: string;
  readonly OSVersion?: string;
  readonly OSType?: string;
  readonly Architecture?: string;
  readonly NCPU?: number;
  readonly MemTotal?: number;
  readonly IndexServerAddress?: string;
  readonly RegistryConfig?: RegistryServiceConfig;
  readonly GenericResources?: GenericResources | null;
  readonly HttpProxy?: string;
  readonly HttpsProxy?: string;
  readonly NoProxy?: string;
  readonly Name?: string;
  readonly Labels?: readonly string[] | null;
  readonly ExperimentalBuild?: boolean;
  readonly ServerVersion?: string;
  readonly Runtimes?: Readonly<Record<string, Runtime>> | null;
  readonly DefaultRuntime?: string;
  readonly Swarm?: SwarmInfo;
  readonly LiveRestoreEnabled?: boolean;
  readonly Isolation?: "default" | "hyperv" | "process" | "";
  readonly InitBinary?: string;
  readonly ContainerdCommit?: Commit;
  readonly RuncCommit?: Commit;
  readonly InitCommit?: Commit;
  readonly SecurityOptions?: readonly string[] | null;
  readonly ProductLicense?: string;
  readonly DefaultAddressPools?:
    | readonly {
        readonly Base?: string;
        readonly Size?: number;
      }[]
    | null;
  readonly FirewallBackend?: FirewallInfo;
  readonly DiscoveredDevices?: readonly DeviceInfo[] | null;
  readonly Warnings?: readonly string[] | null;
  readonly CDISpecDirs?: readonly string[] | null;
  readonly Containerd?: ContainerdInfo;
}

export interface SystemVersion {
  readonly Platform?: {
    readonly Name?: string;
  };
  readonly Components?:
    | readonly {
        readonly Name?: string;
        readonly Version?: string;
        readonly Details?: Readonly<Record<string, unknown>> | null;
      }[]
    | null;
  readonly Version?: string;
  readonly ApiVersion?: string;
  readonly MinAPIVersion?: string;
  readonly GitCommit?: string;
  readonly GoVersion?: string;
  readonly Os?: string;
  readonly Arch?: string;
  readonly KernelVersion?: string;
  readonly Experimental?: boolean;
  readonly BuildTime?: string;
}

export interface PluginsInfo {
  readonly Volume?: readonly string[] | null;
  readonly Network?: readonly string[] | null;
  readonly Authorization?: readonly string[] | null;
  readonly Log?: readonly string[] | null;
}

export type RegistryServiceConfig = {
  readonly InsecureRegistryCIDRs?: readonly string[] | null;
  readonly IndexConfigs?: Readonly<Record<string, IndexInfo>> | null;
  readonly Mirrors?: readonly string[] | null;
} | null;

export type IndexInfo = {
  readonly Name?: string;
  readonly Mirrors?: readonly string[] | null;
  readonly Secure?: boolean;
  readonly Official?: boolean;
} | null;

export interface Runtime {
  readonly path?: string;
  readonly runtimeArgs?: readonly string[] | null;
  readonly status?: Readonly<Record<string, string>> | null;
}

export interface Commit {
  readonly ID?: string;
}

export interface SwarmInfo {
  readonly NodeID?: string;
  readonly NodeAddr?: string;
  readonly LocalNodeState?: string;
  readonly ControlAvailable?: boolean;
  readonly Error?: string;
  readonly RemoteManagers?: readonly unknown[] | null;
  readonly Nodes?: number | null;
  readonly Managers?: number | null;
  readonly Cluster?: unknown;
}

export type ContainerdInfo = {
  readonly Address?: string;
  readonly Namespaces?: {
    readonly Containers?: string;
    readonly Plugins?: string;
  };
} | null;

export type FirewallInfo = {
  readonly Driver?: string;
  readonly Info?: readonly (readonly string[])[] | null;
} | null;

export interface DeviceInfo {
  readonly Source?: string;
  readonly ID?: string;
}

export interface EventMessage {
  readonly Type?:
    | "builder"
    | "config"
    | "container"
    | "daemon"
    | "image"
    | "network"
    | "node"
    | "plugin"
    | "secret"
    | "service"
    | "volume";
  readonly Action?: string;
  readonly Actor?: EventActor;
  readonly scope?: "local" | "swarm";
  readonly time?: number;
  readonly timeNano?: number;
}

export interface EventActor {
  readonly ID?: string;
  readonly Attributes?: Readonly<Record<string, string>> | null;
}

export type GenericResources = readonly {
  readonly NamedResourceSpec?: {
    readonly Kind?: string;
    readonly Value?: string;
  };
  readonly DiscreteResourceSpec?: {
    readonly Kind?: string;
    readonly Value?: number;
  };
}[];
