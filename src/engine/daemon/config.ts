// The daemon's configuration: defaults, then the configuration file, then flags, as one checked record.

import { existsSync } from "node:fs";
import { isIP } from "node:net";
import { isAbsolute, join, resolve } from "node:path";
import { EngineError, messageOf } from "../../base/errors.ts";
import type { Flags } from "../../base/flags.ts";
import { parseJson } from "../../spec/parse-json.ts";
import { type BuilderConfig, parseBuilderConfig } from "./builder-config.ts";
import type { LogLevel } from "../../base/log.ts";
import { parseRamBytes } from "../../base/units.ts";
import { defaultPluginDirectories, type PluginDirectories } from "../plugins/index.ts";
import { parseBip } from "../network/index.ts";
import { checkLogConfig, checkUlimits } from "../runtime/index.ts";
import { type FileConfig, readConfigFile, refuseConflicts } from "./config-file.ts";
import { splitOnce } from "./directive.ts";
import { directives } from "./directives.ts";
import { parseInsecureRegistry, parseMirror } from "./distribution-config.ts";
import { complainAboutNetworks, type NetworkDirectives, readNetworkDirectives } from "./network-config.ts";

export interface RuntimeConfig {
  /** Absolute, or a name that PATH finds. */
  readonly path: string;
  readonly args: readonly string[];
}

export interface Ulimit {
  readonly Name: string;
  readonly Soft: number;
  readonly Hard: number;
}

/** Everything that gantryd was told, defaults filled in. Paths are absolute. */
export interface DaemonConfig extends NetworkDirectives {
  readonly configFile: string;
  readonly hosts: readonly string[];
  readonly tls: {
    readonly enabled: boolean;
    readonly verify: boolean;
    readonly caFile: string;
    readonly certFile: string;
    readonly keyFile: string;
  };
  readonly allowInsecureTcp: boolean;
  readonly dataRoot: string;
  readonly execRoot: string;
  readonly pidFile: string;
  readonly group: string;
  /** The group was asked for, so that it must exist. */
  readonly groupRequired: boolean;
  readonly debug: boolean;
  readonly logLevel: LogLevel;
  readonly logFormat: "text" | "json";
  readonly runtimes: Readonly<Record<string, RuntimeConfig>>;
  readonly defaultRuntime: string;
  readonly bip: string | undefined;
  readonly bridge: string;
  readonly mtu: number;
  readonly ipForward: boolean;
  readonly dns: readonly string[];
  readonly dnsSearch: readonly string[];
  readonly dnsOptions: readonly string[];
  readonly cgroupParent: string;
  readonly defaultShmSizeBytes: number;
  readonly defaultUlimits: Readonly<Record<string, Ulimit>>;
  readonly logDriver: "json-file" | "none";
  readonly logOpts: Readonly<Record<string, string>>;
  readonly builder: BuilderConfig;
  /** Where plugins of third parties are looked for. */
  readonly pluginDirectories: PluginDirectories;
  readonly init: boolean;
  /** "" lets the daemon look for one. */
  readonly initPath: string;
  readonly shutdownTimeoutSeconds: number;
  readonly labels: readonly string[];
  /** Base URLs that are asked before docker.io, each with a slash at its end. */
  readonly registryMirrors: readonly string[];
  /** host[:port] or networks. */
  readonly insecureRegistries: readonly string[];
  /** URLs with, perhaps, credentials; "" leaves it to the environment. */
  readonly httpProxy: string;
  readonly httpsProxy: string;
  readonly noProxy: string;
  /** 0 for no limit. */
  readonly maxConcurrentDownloads: number;
  readonly maxConcurrentUploads: number;
  readonly maxDownloadAttempts: number;
  /** Of the files of one unpacked layer; 0 for what the disk has. */
  readonly maxLayerBytes: number;
  /** undefined for the one that Gantry brings, "" for none. */
  readonly embeddedImage: string | undefined;
}

/** Runtimes that are there without being configured, where the program is. */
const builtInRuntimes = ["crun", "runc"] as const;

const logLevels: readonly LogLevel[] = ["debug", "info", "warn", "error", "fatal"];

class Merged {
  readonly #file: FileConfig;
  readonly #flags: Flags;

  constructor(file: FileConfig, flags: Flags) {
    this.#file = file;
    this.#flags = flags;
  }

  #fromFile(flagName: string): unknown {
    const key = directives.find((directive) => directive.flag.name === flagName)?.key;
    return key === undefined ? undefined : this.#file.get(key);
  }

  isSet(name: string): boolean {
    return this.#flags.isSet(name) || this.#fromFile(name) !== undefined;
  }

  string(name: string): string {
    const value = this.#fromFile(name);
    return typeof value === "string" || typeof value === "number" ? String(value) : this.#flags.string(name);
  }

  bool(name: string): boolean {
    const value = this.#fromFile(name);
    return typeof value === "boolean" ? value : this.#flags.bool(name);
  }

  int(name: string): number {
    const value = this.#fromFile(name);
    return typeof value === "number" ? value : this.#flags.int(name);
  }

  strings(name: string): readonly string[] {
    const value = this.#fromFile(name);
    return Array.isArray(value) ? value.map(String) : this.#flags.strings(name);
  }

  object(name: string): unknown {
    const text = this.#flags.string(name);
    return this.#fromFile(name) ?? parseJson(Buffer.from(text === "" ? "{}" : text), `--${name}`);
  }

  parsed<T>(name: string, parse: (values: readonly string[]) => T): T {
    const value = this.#fromFile(name);
    // config-file.ts has checked the type of what is in it.
    return value === undefined ? parse(this.#flags.strings(name)) : (value as T);
  }

  map<T>(name: string, parse: (value: string) => readonly [string, T]): Readonly<Record<string, T>> {
    return this.parsed(name, (values) => Object.fromEntries(values.map(parse)));
  }
}

function invalid(message: string): EngineError {
  return new EngineError("InvalidParameter", message);
}

function parseUlimit(text: string): readonly [string, Ulimit] {
  const [name, limits = ""] = splitOnce(text, "=");
  const [soft, hard] = splitOnce(limits, ":");
  return [name, { Name: name, Soft: Number(soft), Hard: Number(hard ?? soft) }];
}

function parseRuntimes(merged: Merged): Readonly<Record<string, RuntimeConfig>> {
  interface FileRuntime {
    readonly path: string;
    readonly runtimeArgs?: readonly string[];
  }
  const asked = merged.map<FileRuntime>("add-runtime", (text) => {
    const [name, path = ""] = splitOnce(text, "=");
    return [name, { path }];
  });
  const runtimes: Record<string, RuntimeConfig> = {};
  for (const name of builtInRuntimes) runtimes[name] = { path: name, args: [] };
  for (const [name, { path, runtimeArgs = [] }] of Object.entries(asked)) {
    if (builtInRuntimes.some((reserved) => reserved === name)) throw invalid(`runtime name '${name}' is reserved`);
    if (!/^[A-Za-z0-9][A-Za-z0-9_.-]*$/.test(name)) throw invalid(`invalid runtime name: ${JSON.stringify(name)}`);
    runtimes[name] = { path, args: runtimeArgs };
  }
  return runtimes;
}

function complainAboutHost(host: string, allowTcp: boolean): string | undefined {
  if (host.startsWith("unix://")) {
    const path = host.slice("unix://".length);
    if (!isAbsolute(path)) return `invalid socket ${host}: the path must be absolute`;
    return Buffer.byteLength(path) > 107 ? `invalid socket ${host}: longer than 107 bytes` : undefined;
  }
  if (host.startsWith("tcp://")) {
    const m = /^tcp:\/\/(\[[0-9a-fA-F:]+\]|[^/:[\]]*):(\d{1,5})$/.exec(host);
    if (m === null || Number(m[2]) > 65535)
      return `invalid bind address ${host}: should be in the format tcp://host:port`;
    if (!allowTcp)
      return `${host} without --tlsverify would give root on this host to everybody who reaches it; add --tlsverify, or --allow-insecure-tcp if that is wanted`;
    return undefined;
  }
  if (/^fd:\/\/(\d*|\*)$/.test(host)) return undefined;
  return `invalid bind address (${host}): unsupported proto; use unix://, tcp:// or fd://`;
}

function complain(config: DaemonConfig): string | undefined {
  const duplicate = config.labels
    .map((label) => splitOnce(label, "=")[0])
    .find((key, i, keys) => keys.indexOf(key) !== i);
  const badDns = config.dns.find((address) => isIP(address) === 0);
  const { enabled, verify, certFile, keyFile, caFile } = config.tls;
  const missing = [certFile, keyFile, ...(verify ? [caFile] : [])].find((path) => !existsSync(path));
  const log = checkLogConfig({ Type: config.logDriver, Config: config.logOpts });
  const [badUlimit] = checkUlimits({ Ulimits: Object.values(config.defaultUlimits) });
  const checks: readonly (string | undefined | false)[] = [
    ...config.hosts.map((host) => complainAboutHost(host, config.tls.verify || config.allowInsecureTcp)),
    !(config.defaultRuntime in config.runtimes) &&
      `specified default runtime '${config.defaultRuntime}' does not exist`,
    (config.mtu < 68 || config.mtu > 65535) && `invalid default MTU: ${config.mtu}`,
    complainAboutNetworks(config),
    config.bridge !== "" && !/^[^\s/:]{1,15}$/.test(config.bridge) && `invalid bridge name: ${config.bridge}`,
    config.maxConcurrentDownloads < 0 && `invalid max concurrent downloads: ${config.maxConcurrentDownloads}`,
    config.maxConcurrentUploads < 0 && `invalid max concurrent uploads: ${config.maxConcurrentUploads}`,
    config.maxDownloadAttempts < 0 && `invalid max download attempts: ${config.maxDownloadAttempts}`,
    config.shutdownTimeoutSeconds < 0 && `invalid shutdown timeout: ${config.shutdownTimeoutSeconds}`,
    (!/^(\/[^/\s]+)+$/.test(config.cgroupParent) || config.cgroupParent.split("/").some((part) => part === "..")) &&
      `invalid cgroup parent: ${config.cgroupParent}: an absolute path below the root is needed`,
    enabled && missing !== undefined && `could not load TLS file ${missing}: no such file or directory`,
    badDns !== undefined && `invalid string being converted to IP address: ${badDns}`,
    badUlimit !== undefined && `invalid default ulimit: ${badUlimit}`,
    log.errors[0] !== undefined && `invalid log opts: ${log.errors[0]}`,
    log.unsupported[0] !== undefined &&
      `invalid log opts: ${log.unsupported[0].replace("HostConfig.LogConfig.Config", "log-opts")} is not supported yet`,
    duplicate !== undefined && `conflict labels for ${duplicate}`,
    config.labels.some((label) => !/^[^=]+=/.test(label)) &&
      `bad attribute format: ${config.labels.find((label) => !/^[^=]+=/.test(label))}`,
    config.embeddedImage !== undefined &&
      config.embeddedImage !== "" &&
      !existsSync(config.embeddedImage) &&
      `embedded-image: open ${config.embeddedImage}: no such file or directory`,
  ];
  if (config.bip !== undefined) parseBip(config.bip);
  return checks.find((check): check is string => typeof check === "string");
}

function parseLogLevel(text: string): LogLevel {
  const level = logLevels.find((candidate) => candidate === text);
  if (level === undefined) throw invalid(`invalid logging level: ${text}`);
  return level;
}

/** Directories that are given hold sockets and specifications alike. */
function pluginDirectoriesOf(given: readonly string[]): PluginDirectories {
  const relative = given.find((directory) => !directory.startsWith("/"));
  if (relative !== undefined) throw invalid(`invalid plugin directory: ${relative}: an absolute path is needed`);
  return given.length === 0 ? defaultPluginDirectories : { sockets: given, specs: given };
}

/**
 * Merges and checks; nothing is touched but the configuration file, which is read.
 *
 * @throws InvalidParameter naming the directive
 */
export function resolveConfig(flags: Flags): DaemonConfig {
  const configFile = resolve(flags.string("config-file"));
  try {
    const file = readConfigFile(configFile, flags.isSet("config-file"));
    refuseConflicts(file, flags);
    return mergeConfig(file, flags, configFile);
  } catch (error) {
    throw new EngineError(
      "InvalidParameter",
      `unable to configure the daemon with file ${configFile}: ${messageOf(error)}`,
      { cause: error },
    );
  }
}

/** Pure but for the existence of files that it names. @throws InvalidParameter naming the directive */
export function mergeConfig(file: FileConfig, flags: Flags, configFile: string): DaemonConfig {
  const merged = new Merged(file, flags);
  const execRoot = resolve(merged.string("exec-root"));
  const debug = merged.bool("debug");
  const logFormat = merged.string("log-format");
  if (logFormat !== "text" && logFormat !== "json") throw invalid(`invalid log format: ${logFormat}`);
  const logDriver = merged.string("log-driver");
  if (logDriver !== "json-file" && logDriver !== "none")
    throw invalid(`invalid log driver: ${logDriver}: Gantry has json-file and none`);
  const verify = merged.bool("tlsverify");
  const hosts = merged.strings("host");
  const bip = merged.string("bip");
  const config: DaemonConfig = {
    configFile,
    hosts: hosts.length > 0 ? hosts : [`unix://${join(execRoot, "gantry.sock")}`],
    tls: {
      enabled: merged.bool("tls") || verify,
      verify,
      caFile: resolve(merged.string("tlscacert")),
      certFile: resolve(merged.string("tlscert")),
      keyFile: resolve(merged.string("tlskey")),
    },
    allowInsecureTcp: merged.bool("allow-insecure-tcp"),
    dataRoot: resolve(merged.string("data-root")),
    execRoot,
    pidFile: merged.isSet("pidfile") ? resolve(merged.string("pidfile")) : join(execRoot, "gantryd.pid"),
    group: merged.string("group"),
    groupRequired: merged.isSet("group") && merged.string("group") !== "",
    debug,
    logLevel: debug ? "debug" : parseLogLevel(merged.string("log-level")),
    logFormat,
    runtimes: parseRuntimes(merged),
    defaultRuntime: merged.string("default-runtime"),
    bip: bip === "" ? undefined : bip,
    bridge: merged.string("bridge"),
    mtu: merged.int("mtu"),
    ipForward: merged.bool("ip-forward"),
    dns: merged.strings("dns"),
    dnsSearch: merged.strings("dns-search"),
    dnsOptions: merged.strings("dns-opt"),
    ...readNetworkDirectives(merged),
    cgroupParent: merged.string("cgroup-parent"),
    defaultShmSizeBytes: parseRamBytes(merged.string("default-shm-size")),
    defaultUlimits: merged.map("default-ulimit", parseUlimit),
    logDriver,
    logOpts: merged.map("log-opt", (text) => {
      const [key, value] = splitOnce(text, "=");
      return [key, value ?? ""];
    }),
    pluginDirectories: pluginDirectoriesOf(merged.strings("plugin-dir")),
    builder: parseBuilderConfig(merged.object("builder")),
    init: merged.bool("init"),
    initPath: merged.string("init-path"),
    shutdownTimeoutSeconds: merged.int("shutdown-timeout"),
    labels: merged.strings("label"),
    registryMirrors: [...new Set(merged.strings("registry-mirror").map(parseMirror))],
    insecureRegistries: [...new Set(merged.strings("insecure-registry").map(parseInsecureRegistry))],
    httpProxy: merged.string("http-proxy"),
    httpsProxy: merged.string("https-proxy"),
    noProxy: merged.string("no-proxy"),
    maxConcurrentDownloads: merged.int("max-concurrent-downloads"),
    maxConcurrentUploads: merged.int("max-concurrent-uploads"),
    maxDownloadAttempts: merged.int("max-download-attempts"),
    maxLayerBytes: parseRamBytes(merged.string("max-layer-size")),
    embeddedImage: merged.isSet("embedded-image") ? merged.string("embedded-image") : undefined,
  };
  if (debug) parseLogLevel(merged.string("log-level"));
  const complaint = complain(config);
  if (complaint !== undefined) throw invalid(complaint);
  return config;
}
