// The image config: everything that a container will be made of is checked here once, so that later readers may trust the
// types. The bytes are kept as they came: the image id is their digest. Source: OCI image-spec 1.1, config.md.

import { EngineError } from "../../base/errors.ts";
import type { HealthConfig } from "../../spec/docker/container.ts";
import type { ImageConfig } from "../../spec/docker/image.ts";
import type { HistoryEntry, OciImageConfig } from "../../spec/oci/image.ts";
import {
  type JsonObject,
  optional,
  parseArray,
  parseJson,
  parseObject,
  parseString,
  parseStringMap,
  parseStrings,
} from "../../spec/parse-json.ts";
import { parseDiffIds } from "../../spec/oci/parse.ts";

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

function wrong(what: string, why: string): EngineError {
  return new EngineError("InvalidParameter", `invalid ${what}: ${why}`);
}

function parseBoolean(value: unknown, what: string): boolean {
  if (typeof value !== "boolean") throw wrong(what, "not a boolean");
  return value;
}

function parseInteger(value: unknown, what: string): number {
  if (typeof value !== "number" || !Number.isSafeInteger(value)) throw wrong(what, "not an integer");
  return value;
}

/** Go's empty-struct maps: ExposedPorts and Volumes. */
function parseSet(value: unknown, what: string): Readonly<Record<string, Readonly<Record<string, unknown>>>> {
  return Object.fromEntries(Object.keys(parseObject(value, what)).map((key) => [key, {}]));
}

/** Command lines: a list, or as old clients wrote them one string. */
function parseCommand(value: unknown, what: string): readonly string[] {
  return typeof value === "string" ? [value] : parseStrings(value, what);
}

function parseHealth(value: unknown, what: string): HealthConfig {
  const object = parseObject(value, what);
  const health: Mutable<HealthConfig> = {};
  const test = optional(object["Test"], `${what}.Test`, parseStrings);
  if (test !== undefined) health.Test = [...test];
  for (const key of ["Interval", "Timeout", "StartPeriod", "StartInterval", "Retries"] as const) {
    const number = optional(object[key], `${what}.${key}`, parseInteger);
    if (number !== undefined) health[key] = number;
  }
  return health;
}

/** Absent and null stay different where Docker shows the difference. */
function parseContainerConfig(value: unknown, what: string): ImageConfig {
  const object = parseObject(value, what);
  const config: Record<string, unknown> = {};
  const take = (key: keyof ImageConfig, parse: (value: unknown, what: string) => unknown): void => {
    if (object[key] !== undefined) config[key] = optional(object[key], `${what}.${key}`, parse) ?? null;
  };
  for (const key of ["Env", "OnBuild", "Shell"] as const) take(key, parseStrings);
  for (const key of ["Cmd", "Entrypoint"] as const) take(key, parseCommand);
  for (const key of ["ExposedPorts", "Volumes"] as const) take(key, parseSet);
  for (const key of ["User", "WorkingDir", "StopSignal"] as const) {
    const text = optional(object[key], `${what}.${key}`, parseString);
    if (text !== undefined) config[key] = text;
  }
  take("Labels", parseStringMap);
  const health = optional(object["Healthcheck"], `${what}.Healthcheck`, parseHealth);
  if (health !== undefined) config["Healthcheck"] = health;
  if (optional(object["ArgsEscaped"], `${what}.ArgsEscaped`, parseBoolean) === true) config["ArgsEscaped"] = true;
  for (const text of [...((config["Env"] as string[] | null | undefined) ?? []), config["User"], config["WorkingDir"]])
    if (typeof text === "string" && text.includes("\0")) throw wrong(what, "NUL byte in a value");
  return config;
}

function parseHistory(value: unknown, what: string): readonly HistoryEntry[] {
  return parseArray(value, what).map((item, index) => {
    const at = `${what}[${index}]`;
    const object = parseObject(item, at);
    const entry: Mutable<HistoryEntry> = {};
    for (const key of ["created", "created_by", "author", "comment"] as const) {
      const text = optional(object[key], `${at}.${key}`, parseString);
      if (text !== undefined) entry[key] = text;
    }
    if (optional(object["empty_layer"], `${at}.empty_layer`, parseBoolean) === true) entry.empty_layer = true;
    return entry;
  });
}

function parseTexts(object: JsonObject, what: string): Partial<Mutable<OciImageConfig>> {
  const texts: Partial<Mutable<OciImageConfig>> = {};
  for (const key of ["created", "author", "variant", "os.version", "docker_version", "comment"] as const) {
    const text = optional(object[key], `${what}.${key}`, parseString);
    if (text !== undefined) texts[key] = text;
  }
  return texts;
}

/**
 * Parses an image config.
 *
 * @throws InvalidParameter malformed, or for another operating system than linux
 */
export function parseImageConfig(bytes: Uint8Array): OciImageConfig {
  const what = "image config";
  const object = parseObject(parseJson(bytes, what), what);
  if (object["layers"] !== undefined || object["manifests"] !== undefined)
    throw wrong(what, "it is a manifest as well");
  const rootfs = parseObject(object["rootfs"], `${what}: rootfs`);
  if (rootfs["type"] !== "layers") throw wrong(what, 'rootfs.type is not "layers"');
  const os = optional(object["os"], `${what}: os`, parseString) ?? "linux";
  if (os !== "linux" && os !== "") throw new EngineError("InvalidParameter", `cannot load ${os} image on linux`);
  const config = optional(object["config"], `${what}: config`, parseContainerConfig);
  const history = optional(object["history"], `${what}: history`, parseHistory);
  return {
    ...parseTexts(object, what),
    architecture: optional(object["architecture"], `${what}: architecture`, parseString) ?? "",
    os: "linux",
    ...(config === undefined ? {} : { config }),
    rootfs: { type: "layers", diff_ids: optional(rootfs["diff_ids"], `${what}: diff_ids`, parseDiffIds) ?? [] },
    ...(history === undefined ? {} : { history }),
  };
}
