// From the flags of `run` and `create` to the body of POST /containers/create, member by member as the docker CLI 28 sends
// it (testdata/requests.json holds its recordings). Complaints are Errors; the command adds program name and hint.

import { readFileSync } from "node:fs";
import type { Flags } from "../../../base/flags.ts";
import { parseRamBytes } from "../../../base/units.ts";
import type {
  ContainerConfig,
  DeviceMapping,
  HealthConfig,
  HostConfig,
  RestartPolicy,
} from "../../../spec/docker/container.ts";
import { describeFileError } from "../errors.ts";
import { readEnvFile } from "./env-file.ts";
import { parseMount, parseVolumes } from "./mount.ts";
import { parseMac, planNetworks } from "./network.ts";
import { parsePorts } from "./ports.ts";
import {
  parseDevice,
  parseDeviceCgroupRule,
  parseDuration,
  parseEnv,
  parseExtraHost,
  parseGpus,
  parseIopsDevice,
  parseIp,
  parseMemorySwap,
  parseNanoCpus,
  parseRateDevice,
  parseSearchDomain,
  parseStream,
  parseSysctl,
  parseUlimit,
  parseWeightDevice,
  ValueError,
} from "./values.ts";

type Env = Readonly<Record<string, string | undefined>>;

/** The body of POST /containers/create. */
export type CreateBody = ContainerConfig & {
  readonly HostConfig: HostConfig;
  readonly NetworkingConfig: unknown;
};

function pairs(texts: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    texts.map((text) => {
      const at = text.indexOf("=");
      return at < 0 ? [text, ""] : [text.slice(0, at), text.slice(at + 1)];
    }),
  );
}

function orNull<T>(list: readonly T[]): readonly T[] | null {
  return list.length === 0 ? null : list;
}

/** Environment variables of files and flags, files first. @throws Error a file is missing or bad */
export function readEnv(files: readonly string[], texts: readonly string[], env: Env): readonly string[] {
  return [
    ...files.flatMap((file) => readEnvFile(file, (name) => env[name])),
    ...texts.map((text) => parseEnv(text, env)),
  ];
}

function size(flags: Flags, name: string): number {
  return flags.isSet(name) ? parseRamBytes(flags.string(name)) : 0;
}

function parseRestart(text: string): RestartPolicy {
  const at = text.indexOf(":");
  const name = at < 0 ? text : text.slice(0, at);
  const count = at < 0 ? "" : text.slice(at + 1);
  if (at === 0) throw new ValueError("invalid restart policy format: no policy provided before colon");
  if (at > 0 && !/^[+-]?\d+$/.test(count))
    throw new ValueError("invalid restart policy format: maximum retry count must be an integer");
  return { Name: name as NonNullable<RestartPolicy["Name"]>, MaximumRetryCount: Number(count) };
}

function planHealth(flags: Flags): HealthConfig | undefined {
  const names = ["cmd", "interval", "retries", "start-interval", "start-period", "timeout"];
  const isSet = names.some((name) => flags.isSet(`health-${name}`) && flags.string(`health-${name}`) !== "");
  if (flags.bool("no-healthcheck")) {
    if (isSet) throw new ValueError("--no-healthcheck conflicts with --health-* options");
    return { Test: ["NONE"] };
  }
  if (!isSet) return undefined;
  const time = (name: string): number => {
    const ns = flags.isSet(name) ? parseDuration(flags.string(name)) : 0;
    if (ns < 0) throw new ValueError(`--${name} cannot be negative`);
    return ns;
  };
  const times = {
    Interval: time("health-interval"),
    Timeout: time("health-timeout"),
    StartPeriod: time("health-start-period"),
    StartInterval: time("health-start-interval"),
    Retries: flags.int("health-retries"),
  };
  if (times.Retries < 0) throw new ValueError("--health-retries cannot be negative");
  const command = flags.string("health-cmd");
  const set = Object.fromEntries(Object.entries(times).filter(([, value]) => value !== 0));
  return { ...(command === "" ? {} : { Test: ["CMD-SHELL", command] }), ...set };
}

function planSecurity(texts: readonly string[]): {
  readonly options: readonly string[] | null;
  readonly unconfined: boolean;
} {
  let unconfined = false;
  const options: string[] = [];
  for (const text of texts) {
    if (text === "systempaths=unconfined") {
      unconfined = true;
      continue;
    }
    const m = /^([^=:]+)[=:](.*)$/s.exec(text);
    if (m === null && text !== "no-new-privileges" && text !== "writable-cgroups")
      throw new ValueError(`Invalid --security-opt: ${JSON.stringify(text)}`);
    const path = m?.[1] === "seccomp" ? (m[2] ?? "") : "";
    if (path === "" || path === "unconfined" || path === "builtin") options.push(text);
    else options.push(`seccomp=${readSeccomp(path)}`);
  }
  return { options: texts.length === 0 ? null : options, unconfined };
}

function readSeccomp(path: string): string {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    throw new ValueError(`opening seccomp profile (${path}) failed: ${describeFileError(error) ?? String(error)}`);
  }
  try {
    return JSON.stringify(JSON.parse(text));
  } catch (error) {
    throw new ValueError(`compacting json for seccomp profile (${path}) failed: ${(error as Error).message}`);
  }
}

function checkModes(flags: Flags): void {
  const isContainer = (mode: string): boolean => /^container:./.test(mode);
  for (const [flag, kind, good] of [
    ["pid", "PID", (mode: string) => mode === "" || mode === "host" || isContainer(mode)],
    ["uts", "UTS", (mode: string) => mode === "" || mode === "host"],
    ["userns", "USER", (mode: string) => mode === "" || mode === "host"],
    ["cgroupns", "CGROUP", (mode: string) => mode === "" || mode === "host" || mode === "private"],
  ] as const)
    if (!good(flags.string(flag))) throw new ValueError(`--${flag}: invalid ${kind} mode`);
}

/** Capabilities as docker normalizes them: upper case, prefixed, sorted, ALL alone in front. */
function normalizeCapabilities(texts: readonly string[]): readonly string[] {
  const names = texts.map((text) => {
    const upper = text.trim().toUpperCase();
    return upper === "ALL" || upper === "RESET" || upper.startsWith("CAP_") ? upper : `CAP_${upper}`;
  });
  return [...new Set(names)].sort();
}

interface Streams {
  readonly stdin: boolean;
  readonly stdout: boolean;
  readonly stderr: boolean;
}

/** Which streams are attached: those asked for, else output, and input where it is interactive; none when detached. */
export function planStreams(flags: Flags, detached: boolean): Streams {
  const asked = flags.strings("attach").map(parseStream);
  const interactive = flags.bool("interactive");
  if (detached) return { stdin: false, stdout: false, stderr: false };
  if (asked.length > 0)
    return { stdin: asked.includes("stdin"), stdout: asked.includes("stdout"), stderr: asked.includes("stderr") };
  return { stdin: interactive, stdout: true, stderr: true };
}

/**
 * The request of a command line.
 *
 * @param detached  `run -d`
 * @throws Error    what cannot be; the message is docker's
 */
export function planCreate(flags: Flags, detached: boolean, env: Env): CreateBody {
  const [image = "", ...cmd] = flags.positional;
  const streams = planStreams(flags, detached);
  const mac = flags.string("mac-address");
  if (mac !== "") parseMac(mac);
  const swappiness = flags.int("memory-swappiness");
  if (swappiness !== -1 && (swappiness < 0 || swappiness > 100))
    throw new ValueError(`invalid value: ${swappiness}. Valid memory swappiness range is 0-100`);
  const volumes = parseVolumes(flags.strings("volume"));
  const mounts = flags.strings("mount").map(parseMount);
  const ports = parsePorts(flags.strings("publish"), flags.strings("expose"));
  const devices: DeviceMapping[] = [];
  const cdi: string[] = [];
  for (const text of flags.strings("device")) {
    const device = parseDevice(text);
    if (device === undefined) cdi.push(text);
    else devices.push(device);
  }
  const rules = flags.strings("device-cgroup-rule").map(parseDeviceCgroupRule);
  const variables = readEnv(flags.strings("env-file"), flags.strings("env"), env);
  const labelFiles = flags.strings("label-file").flatMap((file) => readEnvFile(file, () => undefined));
  checkModes(flags);
  const restart = parseRestart(flags.string("restart"));
  const logOptions = pairs(flags.strings("log-opt"));
  if (flags.string("log-driver") === "none" && flags.strings("log-opt").length > 0)
    throw new ValueError("invalid logging opts for driver none");
  const security = planSecurity(flags.strings("security-opt"));
  if (flags.strings("storage-opt").some((text) => !text.includes("="))) throw new ValueError("invalid storage option");
  const health = planHealth(flags);
  const networks = planNetworks([...flags.strings("network"), ...flags.strings("net")], {
    aliases: [...flags.strings("network-alias"), ...flags.strings("net-alias")],
    links: flags.strings("link"),
    linkLocal: flags.strings("link-local-ip"),
    ipv4: flags.string("ip"),
    ipv6: flags.string("ip6"),
    mac,
  });
  if (flags.bool("rm") && restart.Name !== "no" && restart.Name !== "")
    throw new ValueError("conflicting options: cannot specify both --restart and --rm");
  const interactive = flags.bool("interactive");
  const tmpfs = flags
    .strings("tmpfs")
    .map((text) => text.split(":"))
    .map(([path = "", ...rest]) => [path, rest.join(":")]);
  const annotations = pairs(flags.strings("annotation"));
  const gpus = flags.string("gpus");
  const deviceRequests = [
    ...(gpus === "" ? [] : [parseGpus(gpus)]),
    ...(cdi.length === 0 ? [] : [{ Driver: "cdi", Count: 0, DeviceIDs: cdi, Capabilities: null, Options: null }]),
  ];
  const ulimits = flags.strings("ulimit").map(parseUlimit);
  const config: ContainerConfig = {
    Hostname: flags.string("hostname"),
    Domainname: flags.string("domainname"),
    User: flags.string("user"),
    AttachStdin: streams.stdin,
    AttachStdout: streams.stdout,
    AttachStderr: streams.stderr,
    ...(Object.keys(ports.exposed).length === 0 ? {} : { ExposedPorts: ports.exposed }),
    Tty: flags.bool("tty"),
    OpenStdin: interactive,
    StdinOnce: interactive && streams.stdin,
    Env: orNull(variables),
    Cmd: orNull(cmd),
    ...(health === undefined ? {} : { Healthcheck: health }),
    Image: image,
    Volumes: Object.fromEntries(volumes.anonymous.map((path) => [path, {}])),
    WorkingDir: flags.string("workdir"),
    Entrypoint: flags.isSet("entrypoint") ? [flags.string("entrypoint")] : null,
    OnBuild: null,
    Labels: pairs([...labelFiles, ...flags.strings("label")]),
    ...(flags.isSet("stop-signal") ? { StopSignal: flags.string("stop-signal") } : {}),
    ...(flags.isSet("stop-timeout") ? { StopTimeout: flags.int("stop-timeout") } : {}),
  };
  const hostConfig: HostConfig = {
    Binds: orNull(volumes.binds),
    ContainerIDFile: flags.string("cidfile"),
    LogConfig: {
      Type: flags.string("log-driver") as NonNullable<NonNullable<HostConfig["LogConfig"]>["Type"]>,
      Config: logOptions,
    },
    NetworkMode: networks.mode,
    PortBindings: ports.bindings,
    RestartPolicy: restart,
    AutoRemove: flags.bool("rm"),
    VolumeDriver: flags.string("volume-driver"),
    VolumesFrom: orNull(flags.strings("volumes-from")),
    ConsoleSize: [0, 0],
    ...(Object.keys(annotations).length === 0 ? {} : { Annotations: annotations }),
    CapAdd: orNull(normalizeCapabilities(flags.strings("cap-add"))),
    CapDrop: orNull(normalizeCapabilities(flags.strings("cap-drop"))),
    CgroupnsMode: flags.string("cgroupns") as NonNullable<HostConfig["CgroupnsMode"]>,
    Dns: flags.strings("dns").map(parseIp),
    DnsOptions: [...flags.strings("dns-option"), ...flags.strings("dns-opt")],
    DnsSearch: flags.strings("dns-search").map(parseSearchDomain),
    ExtraHosts: orNull(flags.strings("add-host").map(parseExtraHost)),
    GroupAdd: orNull(flags.strings("group-add")),
    IpcMode: flags.string("ipc"),
    Cgroup: "",
    Links: orNull(flags.strings("link")),
    OomScoreAdj: flags.int("oom-score-adj"),
    PidMode: flags.string("pid"),
    Privileged: flags.bool("privileged"),
    PublishAllPorts: flags.bool("publish-all"),
    ReadonlyRootfs: flags.bool("read-only"),
    SecurityOpt: security.options,
    ...(flags.strings("storage-opt").length === 0 ? {} : { StorageOpt: pairs(flags.strings("storage-opt")) }),
    ...(tmpfs.length === 0 ? {} : { Tmpfs: Object.fromEntries(tmpfs) as Record<string, string> }),
    UTSMode: flags.string("uts"),
    UsernsMode: flags.string("userns"),
    ShmSize: size(flags, "shm-size"),
    ...(flags.strings("sysctl").length === 0
      ? {}
      : { Sysctls: Object.fromEntries(flags.strings("sysctl").map(parseSysctl)) }),
    ...(flags.string("runtime") === "" ? {} : { Runtime: flags.string("runtime") }),
    Isolation: flags.string("isolation") as NonNullable<HostConfig["Isolation"]>,
    CpuShares: flags.int("cpu-shares"),
    Memory: size(flags, "memory"),
    NanoCpus: flags.isSet("cpus") ? parseNanoCpus(flags.string("cpus")) : 0,
    CgroupParent: flags.string("cgroup-parent"),
    BlkioWeight: Number(flags.string("blkio-weight")),
    BlkioWeightDevice: flags.strings("blkio-weight-device").map(parseWeightDevice),
    BlkioDeviceReadBps: flags.strings("device-read-bps").map(parseRateDevice),
    BlkioDeviceWriteBps: flags.strings("device-write-bps").map(parseRateDevice),
    BlkioDeviceReadIOps: flags.strings("device-read-iops").map(parseIopsDevice),
    BlkioDeviceWriteIOps: flags.strings("device-write-iops").map(parseIopsDevice),
    CpuPeriod: flags.int("cpu-period"),
    CpuQuota: flags.int("cpu-quota"),
    CpuRealtimePeriod: flags.int("cpu-rt-period"),
    CpuRealtimeRuntime: flags.int("cpu-rt-runtime"),
    CpusetCpus: flags.string("cpuset-cpus"),
    CpusetMems: flags.string("cpuset-mems"),
    Devices: devices,
    DeviceCgroupRules: orNull(rules),
    DeviceRequests: orNull(deviceRequests),
    MemoryReservation: size(flags, "memory-reservation"),
    MemorySwap: flags.isSet("memory-swap") ? parseMemorySwap(flags.string("memory-swap")) : 0,
    MemorySwappiness: swappiness,
    OomKillDisable: flags.bool("oom-kill-disable"),
    PidsLimit: flags.int("pids-limit"),
    Ulimits: [...new Map(ulimits.map((limit) => [limit.Name, limit])).values()].sort((a, b) =>
      a.Name < b.Name ? -1 : 1,
    ),
    CpuCount: flags.int("cpu-count"),
    CpuPercent: flags.int("cpu-percent"),
    IOMaximumIOps: flags.int("io-maxiops"),
    IOMaximumBandwidth: size(flags, "io-maxbandwidth"),
    ...(flags.isSet("init") ? { Init: flags.bool("init") } : {}),
    MaskedPaths: security.unconfined ? [] : null,
    ReadonlyPaths: security.unconfined ? [] : null,
    ...(mounts.length === 0 ? {} : { Mounts: mounts }),
  };
  return { ...config, HostConfig: hostConfig, NetworkingConfig: { EndpointsConfig: networks.endpoints } };
}
