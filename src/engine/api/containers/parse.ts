// Requests about containers: unknown → typed, or InvalidParameter in dockerd's words. Older API versions lack parameters that
// newer ones have; what they could not mean is dropped here.

import { EngineError } from "../../../base/errors.ts";
import type { ContainerConfig, HostConfig, NetworkingConfig } from "../../../spec/docker/container.ts";
import { readObject } from "../body.ts";
import type { Exchange } from "../exchange.ts";
import { parseFilters } from "../filters.ts";
import type {
  AttachRequest,
  CreateContainerRequest,
  Filters,
  ListContainersRequest,
  LogsRequest,
  WaitCondition,
} from "../ports.ts";
import type { Query } from "../query.ts";
import { mountOfVersion } from "./mounts-of-version.ts";
import { configFields, createSchema } from "./schema.ts";

const listFilters =
  "ancestor before exited expose health id is-task isolation label name network publish since status volume".split(" ");

export async function parseCreate(exchange: Exchange): Promise<CreateContainerRequest> {
  const { query, minor } = exchange;
  const body = await readObject(exchange, createSchema, "", "refused");
  if (!configFields.some((name) => Object.hasOwn(body, name)))
    throw new EngineError("InvalidParameter", "config cannot be empty in order to create a container");
  const { HostConfig, NetworkingConfig, ...config } = body as ContainerConfig & {
    readonly HostConfig?: HostConfig;
    readonly NetworkingConfig?: NetworkingConfig;
  };
  for (const [name, endpoint] of Object.entries(NetworkingConfig?.EndpointsConfig ?? {})) {
    if ((endpoint as unknown) === null)
      throw new EngineError("InvalidParameter", `invalid config for network ${name}: EndpointsConfig is nil`);
  }
  const networks = Object.keys(NetworkingConfig?.EndpointsConfig ?? {});
  if (minor < 44 && networks.length > 1)
    throw new EngineError(
      "InvalidParameter",
      `Container cannot be created with multiple network endpoints: ${networks.sort().join(", ")}`,
    );
  const name = query.text("name");
  const platform = minor >= 41 ? query.text("platform") : "";
  if (platform !== "") checkPlatform(platform);
  const hostConfig = asOfVersion(HostConfig ?? {}, minor);
  return {
    name: name === "" ? undefined : name,
    platform: platform === "" ? undefined : platform,
    hostConfig,
    ...(minor < 44
      ? withContainerMac(config, hostConfig, NetworkingConfig ?? {})
      : { config, networkingConfig: NetworkingConfig ?? {} }),
  };
}

/** @throws InvalidParameter unless os, os/arch or os/arch/variant */
export function checkPlatform(platform: string): void {
  if (!/^[A-Za-z0-9_.-]+(?:\([^()]*\))?(?:\/[A-Za-z0-9_.-]+){0,2}$/.test(platform))
    throw new EngineError(
      "InvalidParameter",
      `${JSON.stringify(platform.slice(0, 256))}: cannot parse platform specifier: invalid argument`,
    );
}

/** Fields that an older API did not have are not given; defaults that were others are filled in. */
function asOfVersion(hostConfig: HostConfig, minor: number): HostConfig {
  let result = hostConfig;
  if (minor < 43 && result.Annotations !== undefined) result = omit(result, "Annotations");
  if (minor < 42 && result.ConsoleSize !== undefined) result = omit(result, "ConsoleSize");
  if (minor < 41 && (result.CgroupnsMode ?? "") === "") result = { ...result, CgroupnsMode: "host" };
  if (minor < 40 && (result.IpcMode ?? "") === "") result = { ...result, IpcMode: "shareable" };
  if (minor < 25 && result.AutoRemove === true) result = { ...result, AutoRemove: false };
  const mounts = result.Mounts;
  if (Array.isArray(mounts)) result = { ...result, Mounts: mounts.map((mount) => mountOfVersion(mount, minor)) };
  return result;
}

/**
 * Before 1.44 a MAC address was the container's and not its endpoint's.
 *
 * @throws InvalidParameter on a network without interfaces of the container's own
 */
function withContainerMac(
  config: ContainerConfig,
  hostConfig: HostConfig,
  networking: NetworkingConfig,
): { readonly config: ContainerConfig; readonly networkingConfig: NetworkingConfig } {
  const { MacAddress, ...rest } = config;
  const mac = MacAddress ?? "";
  const mode = hostConfig.NetworkMode || "bridge";
  if (mac !== "" && /^(?:host$|none$|container:)/.test(mode))
    throw new EngineError("InvalidParameter", "conflicting options: mac-address and the network mode");
  const endpoints = Object.fromEntries(
    Object.entries(networking.EndpointsConfig ?? {}).map(([name, endpoint]) => [name, { ...endpoint, MacAddress: "" }]),
  );
  if (mac !== "") endpoints[mode] = { ...endpoints[mode], MacAddress: mac };
  return { config: rest, networkingConfig: Object.keys(endpoints).length > 0 ? { EndpointsConfig: endpoints } : {} };
}

function omit(hostConfig: HostConfig, field: keyof HostConfig): HostConfig {
  return Object.fromEntries(Object.entries(hostConfig).filter(([name]) => name !== field));
}

export function parseList(query: Query): ListContainersRequest {
  const limit = query.int("limit");
  return {
    all: query.bool("all"),
    limit: limit !== undefined && limit > 0 ? limit : undefined,
    size: query.bool("size"),
    filters: parseFilters(query.text("filters"), listFilters),
  };
}

export function parsePrune(query: Query): Filters {
  return parseFilters(query.text("filters"), ["label", "label!", "until"]);
}

/** Seconds, and the signal from API 1.42 on. */
export function parseStop(exchange: Exchange): {
  readonly signalName: string | undefined;
  readonly timeoutSeconds: number | undefined;
} {
  const signalName = exchange.minor >= 42 ? exchange.query.text("signal") : "";
  return {
    signalName: signalName === "" ? undefined : signalName,
    timeoutSeconds: exchange.query.int("t"),
  };
}

/** @throws InvalidParameter `invalid resize height "x": invalid syntax` unless two numbers of 32 bits */
export function parseResize(query: Query): { readonly height: number; readonly width: number } {
  return { height: parseDimension("height", query.text("h")), width: parseDimension("width", query.text("w")) };
}

function parseDimension(what: string, text: string): number {
  const fail = (reason: string): EngineError =>
    new EngineError("InvalidParameter", `invalid resize ${what} ${JSON.stringify(text.slice(0, 256))}: ${reason}`);
  if (/^-[0-9]+$/.test(text)) throw fail("value out of range");
  if (!/^\+?[0-9]+$/.test(text)) throw fail("invalid syntax");
  const value = Number(text);
  if (value > 0xffffffff) throw fail("value out of range");
  return value;
}

/** @throws InvalidParameter `invalid condition: "x"`; API before 1.30 knows no conditions */
export function parseWait(exchange: Exchange): WaitCondition {
  const condition = exchange.minor >= 30 ? exchange.query.text("condition") : "";
  switch (condition) {
    case "":
    case "not-running":
      return "not-running";
    case "next-exit":
    case "removed":
      return condition;
    default:
      throw new EngineError("InvalidParameter", `invalid condition: ${JSON.stringify(condition.slice(0, 256))}`);
  }
}

export function parseAttach(query: Query): AttachRequest {
  return {
    stdin: query.bool("stdin"),
    stdout: query.bool("stdout"),
    stderr: query.bool("stderr"),
    stream: query.bool("stream"),
    logs: query.bool("logs"),
  };
}

/** @throws InvalidParameter neither stdout nor stderr, or times that are none */
export function parseLogs(query: Query): LogsRequest {
  const stdout = query.bool("stdout");
  const stderr = query.bool("stderr");
  if (!stdout && !stderr)
    throw new EngineError("InvalidParameter", "Bad parameters: you must choose at least one stream");
  // As in dockerd a tail that is no number means all of it.
  const tail = /^\+?[0-9]{1,15}$/.test(query.text("tail")) ? Number(query.text("tail")) : undefined;
  return {
    follow: query.bool("follow"),
    stdout,
    stderr,
    sinceNs: positive(query.timestamp("since")),
    untilNs: positive(query.timestamp("until")),
    tail,
    timestamps: query.bool("timestamps"),
    details: query.bool("details"),
  };
}

function positive(ns: bigint | undefined): bigint | undefined {
  return ns !== undefined && ns > 0n ? ns : undefined;
}
