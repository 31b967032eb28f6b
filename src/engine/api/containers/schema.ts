// The body of POST /containers/create: every field that API 1.51 knows, with the Go type that error texts name.
// Source: Engine API 1.51, definitions ContainerConfig, HostConfig, Resources, NetworkingConfig.

import {
  bool,
  duration,
  int,
  int64,
  list,
  map,
  mapOfPointers,
  object,
  type Schema,
  string,
  tuple,
  uint,
  uint16,
  uint32,
  uint64,
  unit,
  words,
} from "../schema.ts";

const str = string();
const strings = list(str);
const stringMap = map(str);

const health = object("v1.HealthcheckConfig", {
  Test: strings,
  Interval: duration,
  Timeout: duration,
  StartPeriod: duration,
  StartInterval: duration,
  Retries: int,
});

const config = {
  Hostname: str,
  Domainname: str,
  User: str,
  AttachStdin: bool,
  AttachStdout: bool,
  AttachStderr: bool,
  ExposedPorts: map(unit, "nat.PortSet"),
  Tty: bool,
  OpenStdin: bool,
  StdinOnce: bool,
  Env: strings,
  Cmd: words,
  Healthcheck: health,
  ArgsEscaped: bool,
  Image: str,
  Volumes: map(unit),
  WorkingDir: str,
  Entrypoint: words,
  NetworkDisabled: bool,
  MacAddress: str,
  OnBuild: strings,
  Labels: stringMap,
  StopSignal: str,
  StopTimeout: int,
  Shell: words,
} satisfies Record<string, Schema>;

const mountOptions = {
  BindOptions: object("mount.BindOptions", {
    Propagation: string("mount.Propagation"),
    NonRecursive: bool,
    CreateMountpoint: bool,
    ReadOnlyNonRecursive: bool,
    ReadOnlyForceRecursive: bool,
  }),
  VolumeOptions: object("mount.VolumeOptions", {
    NoCopy: bool,
    Labels: stringMap,
    Subpath: str,
    DriverConfig: object("mount.Driver", { Name: str, Options: stringMap }),
  }),
  ImageOptions: object("mount.ImageOptions", { Subpath: str }),
  TmpfsOptions: object("mount.TmpfsOptions", { SizeBytes: int64, Mode: uint32, Options: list(strings) }),
  ClusterOptions: object("mount.ClusterOptions", {}),
} satisfies Record<string, Schema>;

const throttleDevices = list(
  object("blkiodev.ThrottleDevice", { Path: str, Rate: uint64 }),
  "[]*blkiodev.ThrottleDevice",
);

const resources = {
  CpuShares: int64,
  Memory: int64,
  NanoCpus: int64,
  CgroupParent: str,
  BlkioWeight: uint16,
  BlkioWeightDevice: list(object("blkiodev.WeightDevice", { Path: str, Weight: uint16 }), "[]*blkiodev.WeightDevice"),
  BlkioDeviceReadBps: throttleDevices,
  BlkioDeviceWriteBps: throttleDevices,
  BlkioDeviceReadIOps: throttleDevices,
  BlkioDeviceWriteIOps: throttleDevices,
  CpuPeriod: int64,
  CpuQuota: int64,
  CpuRealtimePeriod: int64,
  CpuRealtimeRuntime: int64,
  CpusetCpus: str,
  CpusetMems: str,
  Devices: list(object("container.DeviceMapping", { PathOnHost: str, PathInContainer: str, CgroupPermissions: str })),
  DeviceCgroupRules: strings,
  DeviceRequests: list(
    object("container.DeviceRequest", {
      Driver: str,
      Count: int,
      DeviceIDs: strings,
      Capabilities: list(strings),
      Options: stringMap,
    }),
  ),
  KernelMemoryTCP: int64,
  MemoryReservation: int64,
  MemorySwap: int64,
  MemorySwappiness: int64,
  OomKillDisable: bool,
  PidsLimit: int64,
  Ulimits: list(object("units.Ulimit", { Name: str, Soft: int64, Hard: int64 }), "[]*units.Ulimit"),
  CpuCount: int64,
  CpuPercent: int64,
  IOMaximumIOps: uint64,
  IOMaximumBandwidth: uint64,
  Init: bool,
} satisfies Record<string, Schema>;

const hostConfig = object("container.HostConfig", {
  ...resources,
  Binds: strings,
  ContainerIDFile: str,
  LogConfig: object("container.LogConfig", { Type: str, Config: stringMap }),
  NetworkMode: string("container.NetworkMode"),
  PortBindings: map(list(object("nat.PortBinding", { HostIp: str, HostPort: str })), "nat.PortMap"),
  RestartPolicy: object("container.RestartPolicy", {
    Name: string("container.RestartPolicyMode"),
    MaximumRetryCount: int,
  }),
  AutoRemove: bool,
  VolumeDriver: str,
  VolumesFrom: strings,
  ConsoleSize: tuple(uint, 2),
  Annotations: stringMap,
  CapAdd: words,
  CapDrop: words,
  CgroupnsMode: string("container.CgroupnsMode"),
  Dns: strings,
  DnsOptions: strings,
  DnsSearch: strings,
  ExtraHosts: strings,
  GroupAdd: strings,
  IpcMode: string("container.IpcMode"),
  Cgroup: string("container.CgroupSpec"),
  Links: strings,
  OomScoreAdj: int,
  PidMode: string("container.PidMode"),
  Privileged: bool,
  PublishAllPorts: bool,
  ReadonlyRootfs: bool,
  SecurityOpt: strings,
  StorageOpt: stringMap,
  Tmpfs: stringMap,
  UTSMode: string("container.UTSMode"),
  UsernsMode: string("container.UsernsMode"),
  ShmSize: int64,
  Sysctls: stringMap,
  Runtime: str,
  Isolation: string("container.Isolation"),
  Mounts: list(
    object("mount.Mount", {
      Type: string("mount.Type"),
      Source: str,
      Target: str,
      ReadOnly: bool,
      Consistency: string("mount.Consistency"),
      ...mountOptions,
    }),
  ),
  MaskedPaths: strings,
  ReadonlyPaths: strings,
});

/** What a container asks of a network: at create, and at connect. */
export const endpointSchema = object("network.EndpointSettings", {
  IPAMConfig: object("network.EndpointIPAMConfig", { IPv4Address: str, IPv6Address: str, LinkLocalIPs: strings }),
  Links: strings,
  Aliases: strings,
  MacAddress: str,
  DriverOpts: stringMap,
  GwPriority: int,
  NetworkID: str,
  EndpointID: str,
  Gateway: str,
  IPAddress: str,
  IPPrefixLen: int,
  IPv6Gateway: str,
  GlobalIPv6Address: str,
  GlobalIPv6PrefixLen: int64,
  DNSNames: strings,
});

export const createSchema = object("container.CreateRequest", {
  ...config,
  HostConfig: hostConfig,
  NetworkingConfig: object("network.NetworkingConfig", { EndpointsConfig: mapOfPointers(endpointSchema) }),
});

/** The body of POST /commit. */
export const commitSchema = object("container.Config", config);

/** Names of the fields of ContainerConfig: whether a body has a configuration at all. */
export const configFields: readonly string[] = Object.keys(config);
