// GET /info and GET /version: every field as the host and the engine are, in dockerd's shapes.
// Source: Engine API 1.51, SystemInfo and SystemVersion.

import { existsSync, readdirSync, readFileSync, statfsSync } from "node:fs";
import { hostname, machine } from "node:os";
import { nowRfc3339Nano } from "../../base/time.ts";
import type { SystemInfo, SystemVersion } from "../../spec/docker/system.ts";
import type { HostFacts } from "../runtime/index.ts";
import type { BuildInfo } from "./build-info.ts";
import type { DaemonConfig } from "./config.ts";
import { renderRegistryInfo } from "./distribution-config.ts";
import type { InitProgram } from "./init-program.ts";
import { readOperatingSystem } from "./os-release.ts";
import type { RuntimeProgram } from "./runtime-versions.ts";

export interface InfoInput {
  readonly engineId: string;
  readonly build: BuildInfo;
  readonly config: DaemonConfig;
  readonly facts: HostFacts;
  readonly runtimes: readonly RuntimeProgram[];
  readonly init: InitProgram | undefined;
  readonly states: readonly (string | undefined)[];
  readonly imageCount: number;
  readonly eventListeners: number;
  /** Names of volume plugins in use. */
  readonly volumeDrivers: readonly string[];
}

/** Source: statfs(2) and the names that dockerd uses. */
const fileSystems: ReadonlyMap<number, string> = new Map([
  [0xef53, "extfs"],
  [0x58465342, "xfs"],
  [0x9123683e, "btrfs"],
  [0x01021994, "tmpfs"],
  [0x794c7630, "overlayfs"],
  [0x2fc12fc1, "zfs"],
  [0xf2f52010, "f2fs"],
]);

function backingFileSystem(path: string): string {
  return fileSystems.get(statfsSync(path).type >>> 0) ?? "<unknown>";
}

/** What the cgroup hierarchies can limit. */
function readLimits(facts: HostFacts): {
  readonly memory: boolean;
  readonly swap: boolean;
  readonly kernelMemoryTcp: boolean;
  readonly cfs: boolean;
  readonly shares: boolean;
  readonly cpuset: boolean;
  readonly pids: boolean;
  readonly oomKillDisable: boolean;
} {
  const has = (controller: string, file: string): boolean => {
    const mount = facts.cgroupMounts[controller];
    return mount !== undefined && existsSync(`${mount}/${file}`);
  };
  if (facts.cgroupVersion === 1) {
    return {
      memory: has("memory", "memory.limit_in_bytes"),
      swap: has("memory", "memory.memsw.limit_in_bytes"),
      kernelMemoryTcp: has("memory", "memory.kmem.tcp.limit_in_bytes"),
      cfs: has("cpu", "cpu.cfs_quota_us"),
      shares: has("cpu", "cpu.shares"),
      cpuset: has("cpuset", "cpuset.cpus"),
      pids: facts.cgroupMounts["pids"] !== undefined,
      oomKillDisable: has("memory", "memory.oom_control"),
    };
  }
  const root = facts.cgroupMounts[""] ?? "/sys/fs/cgroup";
  const controllers = new Set(readOr(`${root}/cgroup.controllers`).trim().split(" "));
  const memory = controllers.has("memory");
  const cpu = controllers.has("cpu");
  return {
    memory,
    swap: memory,
    kernelMemoryTcp: false,
    oomKillDisable: false,
    cfs: cpu,
    shares: cpu,
    cpuset: controllers.has("cpuset"),
    pids: controllers.has("pids"),
  };
}

function readOr(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}

function isForwarding(): boolean {
  return readOr("/proc/sys/net/ipv4/ip_forward").trim() === "1";
}

function warningsOf(input: InfoInput, limits: ReturnType<typeof readLimits>): readonly string[] {
  const missing: readonly (readonly [boolean, string])[] = [
    [limits.memory, "No memory limit support"],
    [limits.swap, "No swap limit support"],
    [limits.cfs, "No cpu cfs quota support"],
    [limits.cfs, "No cpu cfs period support"],
    [limits.shares, "No cpu shares support"],
    [limits.cpuset, "No cpuset support"],
    [limits.pids, "No pids limit support"],
    [isForwarding(), "IPv4 forwarding is disabled"],
  ];
  const open = input.config.tls.verify ? [] : input.config.hosts.filter((host) => host.startsWith("tcp://"));
  return [
    ...missing.filter(([there]) => !there).map(([, text]) => `WARNING: ${text}`),
    ...open.map(
      (host) =>
        `WARNING: API is accessible on ${host} without encryption: everybody who reaches it is root on this host`,
    ),
  ];
}

export function renderInfo(input: InfoInput): SystemInfo {
  const { config, facts, build } = input;
  const limits = readLimits(facts);
  const os = readOperatingSystem();
  const count = (...states: readonly string[]): number =>
    input.states.filter((state) => state !== undefined && states.includes(state)).length;
  const defaultRuntime = input.runtimes.find(({ name }) => name === config.defaultRuntime);
  const warnings = warningsOf(input, limits);
  return {
    ID: input.engineId,
    Containers: input.states.length,
    ContainersRunning: count("running", "restarting"),
    ContainersPaused: count("paused"),
    ContainersStopped: input.states.length - count("running", "restarting", "paused"),
    Images: input.imageCount,
    Driver: "overlay2",
    DriverStatus: [
      ["Backing Filesystem", backingFileSystem(config.dataRoot)],
      ["Supports d_type", "true"],
      ["Using metacopy", "false"],
      ["Native Overlay Diff", "true"],
      ["userxattr", "false"],
    ],
    Plugins: {
      Volume: ["local", ...input.volumeDrivers],
      Network: ["bridge", "host", "null"],
      Authorization: null,
      Log: ["json-file"],
    },
    MemoryLimit: limits.memory,
    SwapLimit: limits.swap,
    KernelMemoryTCP: limits.kernelMemoryTcp,
    CpuCfsPeriod: limits.cfs,
    CpuCfsQuota: limits.cfs,
    CPUShares: limits.shares,
    CPUSet: limits.cpuset,
    PidsLimit: limits.pids,
    IPv4Forwarding: isForwarding(),
    Debug: config.debug,
    NFd: readdirSync("/proc/self/fd").length,
    OomKillDisable: limits.oomKillDisable,
    NGoroutines: process.getActiveResourcesInfo().length,
    SystemTime: nowRfc3339Nano(),
    LoggingDriver: config.logDriver,
    CgroupDriver: "cgroupfs",
    CgroupVersion: facts.cgroupVersion === 2 ? "2" : "1",
    NEventsListener: input.eventListeners,
    KernelVersion: facts.kernelVersion,
    OperatingSystem: os.name,
    OSVersion: os.version,
    OSType: "linux",
    Architecture: machine(),
    IndexServerAddress: "https://index.docker.io/v1/",
    ...renderRegistryInfo(config),
    NCPU: facts.cpuCount,
    MemTotal: facts.memoryBytes,
    GenericResources: null,
    DockerRootDir: config.dataRoot,
    Name: hostname(),
    Labels: config.labels,
    ExperimentalBuild: false,
    ServerVersion: build.version,
    Runtimes: Object.fromEntries(
      input.runtimes.map(({ name, config: { args }, path, version }) => [
        name,
        {
          path: path ?? name,
          ...(args.length > 0 ? { runtimeArgs: args } : {}),
          ...(version === "" ? {} : { status: { version } }),
        },
      ]),
    ),
    DefaultRuntime: config.defaultRuntime,
    Swarm: {
      NodeID: "",
      NodeAddr: "",
      LocalNodeState: "inactive",
      ControlAvailable: false,
      Error: "",
      RemoteManagers: null,
    },
    LiveRestoreEnabled: true,
    ...(config.defaultAddressPools.length === 0
      ? {}
      : { DefaultAddressPools: config.defaultAddressPools.map(({ base, size }) => ({ Base: base, Size: size })) }),
    Isolation: "",
    InitBinary: input.init?.name ?? "",
    ContainerdCommit: { ID: "" },
    RuncCommit: { ID: defaultRuntime?.commit ?? "" },
    InitCommit: { ID: input.init?.version ?? "N/A" },
    SecurityOptions: [
      ...(facts.seccomp ? ["name=seccomp,profile=builtin"] : []),
      ...(facts.cgroupVersion === 2 ? ["name=cgroupns"] : []),
    ],
    FirewallBackend: { Driver: "nftables" },
    CDISpecDirs: [],
    Warnings: warnings.length > 0 ? warnings : null,
  };
}

/** Go's word for the machine, as clients compare it with image platforms. */
export function renderVersion(
  input: Pick<InfoInput, "build" | "facts" | "runtimes" | "config" | "init">,
): SystemVersion {
  const { build, facts } = input;
  const about = {
    ApiVersion: "1.51",
    MinAPIVersion: "1.24",
    GitCommit: build.commit,
    // The API has no other place for the platform that the engine runs upon.
    GoVersion: `node${process.versions.node}`,
    Os: "linux",
    Arch: facts.architecture,
    KernelVersion: facts.kernelVersion,
    ...(build.time === "" ? {} : { BuildTime: build.time }),
  };
  const runtime = input.runtimes.find(({ name }) => name === input.config.defaultRuntime);
  return {
    Platform: { Name: "Gantry" },
    Components: [
      { Name: "Engine", Version: build.version, Details: { ...about, Experimental: "false" } },
      ...(runtime === undefined || runtime.version === ""
        ? []
        : [{ Name: runtime.name, Version: runtime.version, Details: { GitCommit: runtime.commit } }]),
      ...(input.init === undefined
        ? []
        : [{ Name: input.init.name, Version: input.init.version, Details: { GitCommit: "" } }]),
    ],
    Version: build.version,
    ...about,
  };
}
