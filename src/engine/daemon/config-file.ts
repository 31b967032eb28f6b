// The configuration file, daemon.json: read, checked key by key against the directives, and against the flags that were
// given. Nothing is guessed: what is unknown, of the wrong type, or said twice stops the start.

import { readFileSync } from "node:fs";
import { EngineError, errnoOf, messageOf } from "../../base/errors.ts";
import type { Flags } from "../../base/flags.ts";
import { parseRamBytes } from "../../base/units.ts";
import { maskCredentials } from "../../distribution/index.ts";
import type { Directive, DirectiveType } from "./directive.ts";
import { directives, directivesOfDockerdOnly } from "./directives.ts";

/** Values by key, each of the type that its directive has. */
export type FileConfig = ReadonlyMap<string, unknown>;

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isStringMap(value: unknown): boolean {
  return isObject(value) && Object.values(value).every((entry) => typeof entry === "string");
}

function isStringList(value: unknown): boolean {
  return Array.isArray(value) && value.every((entry: unknown) => typeof entry === "string");
}

function isUlimitMap(value: unknown): boolean {
  return (
    isObject(value) &&
    Object.values(value).every(
      (entry) =>
        isObject(entry) &&
        typeof entry["Name"] === "string" &&
        Number.isSafeInteger(entry["Soft"] ?? 0) &&
        Number.isSafeInteger(entry["Hard"] ?? 0),
    )
  );
}

function isRuntimeMap(value: unknown): boolean {
  return (
    isObject(value) &&
    Object.values(value).every(
      (entry) =>
        isObject(entry) &&
        typeof entry["path"] === "string" &&
        entry["path"] !== "" &&
        (entry["runtimeArgs"] === undefined || isStringList(entry["runtimeArgs"])) &&
        Object.keys(entry).every((key) => key === "path" || key === "runtimeArgs"),
    )
  );
}

/** dockerd's group of the three directives that concern proxies. */
const proxyKeys = ["http-proxy", "https-proxy", "no-proxy"];

function isProxies(value: unknown): value is Readonly<Record<string, string>> {
  return isStringMap(value) && isObject(value) && Object.keys(value).every((key) => proxyKeys.includes(key));
}

function isSize(value: unknown): boolean {
  if (typeof value === "number") return Number.isSafeInteger(value) && value >= 0;
  if (typeof value !== "string") return false;
  try {
    parseRamBytes(value);
    return true;
  } catch {
    return false;
  }
}

function isPoolList(value: unknown): boolean {
  return (
    Array.isArray(value) &&
    value.every(
      (entry: unknown) =>
        isObject(entry) &&
        typeof entry["base"] === "string" &&
        Number.isSafeInteger(entry["size"]) &&
        Object.keys(entry).every((key) => key === "base" || key === "size"),
    )
  );
}

const kinds: Readonly<Record<DirectiveType, { readonly is: (value: unknown) => boolean; readonly name: string }>> = {
  bool: { is: (value) => typeof value === "boolean", name: "a boolean" },
  int: { is: (value) => Number.isSafeInteger(value), name: "an integer" },
  string: { is: (value) => typeof value === "string", name: "a string" },
  size: { is: isSize, name: 'a number of bytes, or a size like "64m"' },
  strings: { is: isStringList, name: "a list of strings" },
  map: { is: isStringMap, name: "an object with strings for values" },
  maps: {
    is: (value) => isObject(value) && Object.values(value).every(isStringMap),
    name: 'an object like {"bridge": {"com.docker.network.driver.mtu": "1400"}}',
  },
  builder: { is: isObject, name: 'an object like {"gc": {"defaultKeepStorage": "20GB"}}' },
  pools: { is: isPoolList, name: 'a list like [{"base": "10.10.0.0/16", "size": 24}]' },
  ulimits: { is: isUlimitMap, name: 'an object like {"nofile": {"Name": "nofile", "Soft": 1024, "Hard": 2048}}' },
  proxies: { is: isProxies, name: `an object with strings for ${proxyKeys.join(", ")}` },
  runtimes: { is: isRuntimeMap, name: 'an object like {"name": {"path": "/usr/bin/crun", "runtimeArgs": []}}' },
};

/**
 * @throws InvalidParameter not JSON, not an object, unknown keys (all of them named), wrong types
 */
export function parseConfigFile(text: string): FileConfig {
  let value: unknown;
  try {
    value = text.trim() === "" ? {} : JSON.parse(text);
  } catch (error) {
    throw new EngineError("InvalidParameter", `invalid JSON: ${messageOf(error)}`, { cause: error });
  }
  if (!isObject(value)) throw new EngineError("InvalidParameter", "invalid JSON: an object is needed");
  return parseDirectives(spreadHostGateway(spreadProxies(value)));
}

/** "proxies": {"http-proxy": …} says the same as "http-proxy". */
function spreadProxies(value: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  const { proxies, ...rest } = value;
  if (proxies === undefined) return value;
  if (!isProxies(proxies))
    throw new EngineError("InvalidParameter", `invalid value for proxies: ${kinds.proxies.name} is needed`);
  const twice = Object.keys(proxies).filter((key) => key in rest);
  if (twice.length > 0)
    throw new EngineError("InvalidParameter", `both in proxies and by themselves: ${twice.join(", ")}`);
  return { ...rest, ...proxies };
}

/** "host-gateway-ip": "x" is dockerd's older word for "host-gateway-ips": ["x"]. */
function spreadHostGateway(value: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  const { "host-gateway-ip": address, ...rest } = value;
  if (address === undefined) return value;
  if (typeof address !== "string")
    throw new EngineError("InvalidParameter", `invalid value for host-gateway-ip: ${kinds.string.name} is needed`);
  if ("host-gateway-ips" in rest)
    throw new EngineError("InvalidParameter", "both host-gateway-ip and host-gateway-ips: say it once");
  return { ...rest, "host-gateway-ips": [address] };
}

function parseDirectives(value: Readonly<Record<string, unknown>>): FileConfig {
  const byKey = new Map(
    directives.flatMap((directive) => (directive.key === undefined ? [] : [[directive.key, directive]])),
  );
  const strange = Object.keys(value).filter((key) => !byKey.has(key));
  const unknown = strange.filter((key) => !directivesOfDockerdOnly.has(key));
  if (unknown.length > 0)
    throw new EngineError(
      "InvalidParameter",
      `the following directives don't match any configuration option: ${unknown.join(", ")}`,
    );
  if (strange.length > 0)
    throw new EngineError(
      "InvalidParameter",
      `the following directives of dockerd are not supported by Gantry yet: ${strange.join(", ")}`,
    );
  for (const [key, entry] of Object.entries(value)) {
    const kind = kinds[byKey.get(key)?.type ?? "string"];
    if (!kind.is(entry))
      throw new EngineError(
        "InvalidParameter",
        `invalid value for ${key}: ${kind.name} is needed` +
          (byKey.get(key)?.secret === true ? "" : `, not ${JSON.stringify(entry)}`),
      );
  }
  return new Map(Object.entries(value));
}

function fromFlag(directive: Directive, flags: Flags): string {
  const { name, kind } = directive.flag;
  return kind === "strings" ? `[${flags.strings(name).join(" ")}]` : flags.string(name);
}

function fromFile(value: unknown): string {
  if (Array.isArray(value)) return `[${value.join(" ")}]`;
  return typeof value === "string" ? value : JSON.stringify(value);
}

/** @throws InvalidParameter a directive is in the file and on the command line; all of them are named */
export function refuseConflicts(file: FileConfig, flags: Flags): void {
  const conflicts = directives
    .filter((directive) => directive.key !== undefined && file.has(directive.key) && flags.isSet(directive.flag.name))
    .map((directive) => {
      const key = directive.key ?? "";
      const show = directive.secret === true ? maskCredentials : (text: string): string => text;
      return `${key}: (from flag: ${show(fromFlag(directive, flags))}, from file: ${show(fromFile(file.get(key)))})`;
    });
  if (conflicts.length > 0)
    throw new EngineError(
      "InvalidParameter",
      `the following directives are specified both as a flag and in the configuration file: ${conflicts.join(", ")}`,
    );
}

/** @param required the file was named on the command line, and must be there */
export function readConfigFile(path: string, required: boolean): FileConfig {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    if (errnoOf(error) === "ENOENT" && !required) return new Map();
    const reason = errnoOf(error) === "ENOENT" ? "no such file or directory" : messageOf(error);
    throw new EngineError("InvalidParameter", `open ${path}: ${reason}`, { cause: error });
  }
  return parseConfigFile(text);
}
