// Values of single `run` flags, each parsed and complained about as the docker CLI 28 does. A parser throws an Error whose
// message is the complaint; flags.ts turns it into "invalid argument … for … flag".

import { isIP, SocketAddress } from "node:net";
import { parseBool, parseInteger } from "../../../base/flags.ts";
import { parseGoDuration, parseRamBytes } from "../../../base/units.ts";
import type { DeviceMapping, DeviceRequest, ThrottleDevice } from "../../../spec/docker/container.ts";
import { parseCsvRecord } from "./csv.ts";

/** A value that does not fit its flag. */
export class ValueError extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "ValueError";
  }
}

/** Turns a parser into the complaint function that a flag's spec wants. */
export function complaintOf(parse: (text: string) => unknown): (text: string) => string | undefined {
  return (text) => {
    try {
      parse(text);
      return undefined;
    } catch (error) {
      return error instanceof Error ? error.message : String(error);
    }
  };
}

/** -1 or a size with binary units: --memory-swap. */
export function parseMemorySwap(text: string): number {
  return text === "-1" ? -1 : parseRamBytes(text);
}

/** A number of CPUs as 1e-9 CPU: "1.5" is 1500000000; fractions such as "1/2" too. */
export function parseNanoCpus(text: string): number {
  const m = /^([+-]?\d*)(?:\.(\d*))?(?:[eE]([+-]?\d{1,3}))?(?:\/(\d+))?$/.exec(text);
  const digits = `${m?.[1] ?? ""}${m?.[2] ?? ""}`;
  if (m === null || !/\d/.test(digits) || m[4] === "0")
    throw new ValueError(`failed to parse ${text} as a rational number`);
  const exponent = 9 - (m[2]?.length ?? 0) + Number(m[3] ?? 0);
  let numerator = BigInt(digits.replace("+", ""));
  let denominator = BigInt(m[4] ?? 1);
  if (exponent >= 0) numerator *= 10n ** BigInt(exponent);
  else denominator *= 10n ** BigInt(-exponent);
  if (numerator % denominator !== 0n) throw new ValueError("value is too precise");
  return Number(numerator / denominator);
}

/** STDIN, STDOUT or STDERR in any case, in lower case. */
export function parseStream(text: string): string {
  const stream = text.toLowerCase();
  if (!["stdin", "stdout", "stderr"].includes(stream))
    throw new ValueError("valid streams are STDIN, STDOUT and STDERR");
  return stream;
}

/** A variable with a name; one without "=" takes its value from this process, if it has one. */
export function parseEnv(text: string, env: Readonly<Record<string, string | undefined>>): string {
  const at = text.indexOf("=");
  if (text === "" || at === 0) throw new ValueError(`invalid environment variable: ${text}`);
  if (at > 0) return text;
  const inherited = env[text];
  return inherited === undefined ? text : `${text}=${inherited}`;
}

/** A label with a name. */
export function parseLabel(text: string): string {
  if (text === "" || text.startsWith("=")) throw new ValueError(`invalid label '${text}': empty name`);
  return text;
}

/** "host:ip" or "host=ip", as "host:ip"; "host-gateway" stands for the host's address. */
export function parseExtraHost(text: string): string {
  const m = /^([^:=]+)[:=](.*)$/s.exec(text);
  if (m?.[1] === undefined || m[2] === undefined)
    throw new ValueError(`bad format for add-host: ${JSON.stringify(text)}`);
  const ip = /^\[.*\]$/.test(m[2]) ? m[2].slice(1, -1) : m[2];
  if (ip !== "host-gateway" && !isAddress(ip))
    throw new ValueError(`invalid IP address in add-host: ${JSON.stringify(ip)}`);
  return `${m[1]}:${ip}`;
}

/** Whether it is an address of either family, without a zone, as Go's net.ParseIP has it. */
export function isAddress(text: string): boolean {
  return isIP(text) !== 0 && !text.includes("%");
}

/** A search domain, or "." for none. */
export function parseSearchDomain(text: string): string {
  const trimmed = text.replace(/^ +| +$/g, "");
  if (trimmed === ".") return trimmed;
  const label = "(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])";
  const domain = new RegExp(`^(${label}(?:\\.${label})*)\\.?\\s*$`).exec(trimmed)?.[1] ?? "";
  if (!/[a-zA-Z]/.test(domain) || domain.length >= 255) throw new ValueError(`${trimmed} is not a valid domain`);
  return domain;
}

/** An address of either family in its shortest form; an IPv4 address within IPv6 as IPv4. */
export function parseIp(text: string): string {
  const trimmed = text.trim();
  if (!isAddress(trimmed)) throw new ValueError(`IP address is not correctly formatted: ${text}`);
  const family = isIP(trimmed) === 4 ? "ipv4" : "ipv6";
  return new SocketAddress({ address: trimmed, family }).address.replace(/^::ffff:(?=[\d.]+$)/, "");
}

/** "container" or "container:alias". */
export function parseLink(text: string): string {
  if (text === "") throw new ValueError("empty string specified for links");
  if (text.split(":").length > 2) throw new ValueError(`bad format for links: ${text}`);
  return text;
}

/** Docker looks at sysctl names itself: only those of the IPC and network namespaces. */
export function parseSysctl(text: string): readonly [string, string] {
  const at = text.indexOf("=");
  const name = text.slice(0, at);
  const namespaced = [
    "kernel.msgmax",
    "kernel.msgmnb",
    "kernel.msgmni",
    "kernel.sem",
    "kernel.shmall",
    "kernel.shmmax",
  ];
  namespaced.push("kernel.shmmni", "kernel.shm_rmid_forced");
  if (at <= 0 || !(namespaced.includes(name) || name.startsWith("net.") || name.startsWith("fs.mqueue.")))
    throw new ValueError(`sysctl '${text}' is not allowed`);
  return [name, text.slice(at + 1)];
}

const ulimitNames =
  "as core cpu data fsize locks memlock msgqueue nice nofile nproc rss rtprio rttime sigpending stack".split(" ");

export interface Ulimit {
  readonly Name: string;
  readonly Hard: number;
  readonly Soft: number;
}

/** "name=soft[:hard]"; -1 is unlimited. */
export function parseUlimit(text: string): Ulimit {
  const at = text.indexOf("=");
  if (at < 0) throw new ValueError(`invalid ulimit argument: ${text}`);
  const name = text.slice(0, at);
  const limits = text.slice(at + 1).split(":");
  if (!ulimitNames.includes(name)) throw new ValueError(`invalid ulimit type: ${name}`);
  if (limits.length > 2)
    throw new ValueError(
      `too many limit value arguments - ${text.slice(at + 1)}, can only have up to two, \`soft[:hard]\``,
    );
  const [soft = 0, hard = soft] = limits.map((limit) => {
    if (!/^[+-]?\d+$/.test(limit))
      throw new ValueError(`strconv.ParseInt: parsing ${JSON.stringify(limit)}: invalid syntax`);
    return Number(limit);
  });
  if (hard !== -1 && (soft === -1 || soft > hard))
    throw new ValueError(`ulimit soft limit must be less than or equal to hard limit: ${soft} > ${hard}`);
  return { Name: name, Hard: hard, Soft: soft };
}

function splitDevice(text: string): readonly [string, string] {
  const at = text.indexOf(":");
  if (at <= 0) throw new ValueError(`bad format: ${text}`);
  if (!text.startsWith("/dev/")) throw new ValueError(`bad format for device path: ${text}`);
  return [text.slice(0, at), text.slice(at + 1)];
}

/** "/dev/x:weight": 0, or 10 to 1000. */
export function parseWeightDevice(text: string): { readonly Path: string; readonly Weight: number } {
  const [path, value] = splitDevice(text);
  const weight = /^\d+$/.test(value) ? Number(value) : Number.NaN;
  if (!(weight === 0 || (weight >= 10 && weight <= 1000))) throw new ValueError(`invalid weight for device: ${text}`);
  return { Path: path, Weight: weight };
}

/** "/dev/x:rate" in bytes per second. */
export function parseRateDevice(text: string): ThrottleDevice {
  const [path, value] = splitDevice(text);
  try {
    return { Path: path, Rate: parseRamBytes(value) };
  } catch {
    throw new ValueError(
      `invalid rate for device: ${text}. The correct format is <device-path>:<number>[<unit>]. Number must be a positive integer. Unit is optional and can be kb, mb, or gb`,
    );
  }
}

/** "/dev/x:rate" in operations per second. */
export function parseIopsDevice(text: string): ThrottleDevice {
  const [path, value] = splitDevice(text);
  if (!/^\d+$/.test(value))
    throw new ValueError(
      `invalid rate for device: ${text}. The correct format is <device-path>:<number>. Number must be a positive integer`,
    );
  return { Path: path, Rate: Number(value) };
}

/** "host[:container][:rwm]", or undefined for a CDI name "vendor/class=device". */
export function parseDevice(text: string): DeviceMapping | undefined {
  if (/^[A-Za-z0-9.-]+\/[A-Za-z0-9_.-]+=\S+$/.test(text)) return undefined;
  const parts = text.split(":");
  const isMode = (mode: string): boolean => /^[rwm]{1,3}$/.test(mode) && new Set(mode).size === mode.length;
  const [host = "", second, third] = parts;
  if (parts.length > 3 || host === "") throw new ValueError(`bad format for path: ${text}`);
  if (third !== undefined && !isMode(third)) throw new ValueError(`bad mode specified: ${third}`);
  const secondIsMode = second !== undefined && third === undefined && isMode(second);
  return {
    PathOnHost: host,
    PathInContainer: second === undefined || second === "" || secondIsMode ? host : second,
    CgroupPermissions: third ?? (secondIsMode ? second : "rwm"),
  };
}

/** A cgroup rule such as "c 1:3 rwm". */
export function parseDeviceCgroupRule(text: string): string {
  if (!/^[acb] ([0-9]+|\*):([0-9]+|\*) [rwm]{1,3}$/.test(text))
    throw new ValueError(`invalid device cgroup format '${text}'`);
  return text;
}

/** "all", a number, or comma-separated fields count, driver, device, capabilities, options. */
export function parseGpus(text: string): DeviceRequest {
  const request = {
    Driver: "",
    Count: 0,
    DeviceIDs: null as string[] | null,
    Capabilities: [["gpu"]],
    Options: {} as Record<string, string>,
  };
  const count = (value: string): number => {
    if (value === "all") return -1;
    if (!/^-?\d+$/.test(value))
      throw new ValueError(`invalid count (${value}): value must be either "all" or an integer: invalid syntax`);
    return Number(value);
  };
  let counted = false;
  const seen = new Set<string>();
  for (const field of parseCsvRecord(text)) {
    const at = field.indexOf("=");
    const key = at < 0 ? field : field.slice(0, at);
    const value = at < 0 ? "" : field.slice(at + 1);
    if (seen.has(key)) throw new ValueError(`gpu request key '${key}' can be specified only once`);
    seen.add(key);
    if (at < 0) {
      seen.add("count");
      request.Count = count(field);
      counted = true;
    } else if (key === "count") {
      request.Count = count(value);
      counted = true;
    } else if (key === "driver") request.Driver = value;
    else if (key === "device") request.DeviceIDs = value.split(",");
    else if (key === "capabilities") request.Capabilities = [[...value.split(",").filter((c) => c !== "gpu"), "gpu"]];
    else if (key === "options")
      for (const option of parseCsvRecord(value)) {
        const split = option.indexOf("=");
        request.Options[split < 0 ? option : option.slice(0, split)] = split < 0 ? "" : option.slice(split + 1);
      }
    else throw new ValueError(`unexpected key '${key}' in '${field}'`);
  }
  if (!counted && request.DeviceIDs === null) request.Count = 1;
  return request;
}

/** A Go duration in nanoseconds. */
export function parseDuration(text: string): number {
  return parseGoDuration(text);
}

/** A 16-bit number, as Go parses one. */
export function parseUint16(text: string): number {
  const value = parseInteger(text);
  if (value === undefined || value < 0)
    throw new ValueError(`strconv.ParseUint: parsing ${JSON.stringify(text)}: invalid syntax`);
  if (value > 65535) throw new ValueError(`strconv.ParseUint: parsing ${JSON.stringify(text)}: value out of range`);
  return value;
}

/** A Go bool, with a complaint that names the option. */
export function parseBoolOption(key: string, text: string): boolean {
  const value = parseBool(text);
  if (value === undefined) throw new ValueError(`invalid value for ${key}: ${text}`);
  return value;
}
