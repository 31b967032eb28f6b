// The query of POST /build, as dockerd reads it. Source: Engine API 1.51, operation ImageBuild.

import { EngineError } from "../../../base/errors.ts";
import { parseNamed } from "../../../base/reference.ts";
import type { Exchange } from "../exchange.ts";
import { JsonNumber, parseJson, type JsonValue } from "../json.ts";
import type { BuildImageRequest } from "../ports.ts";
import type { Query } from "../query.ts";
import { parseRegistryConfig } from "../registry-auth.ts";

/** @throws InvalidParameter the first thing that is wrong, by its parameter's name */
export function parseBuildRequest(exchange: Exchange): BuildImageRequest {
  const { query } = exchange;
  const tags = query.all("t").filter((tag) => tag !== "");
  for (const tag of tags) checkTag(tag);
  if (query.bool("squash"))
    throw new EngineError("InvalidParameter", "squash is not supported: use a build of several stages and COPY --from");
  const dockerfile = query.text("dockerfile");
  return {
    dockerfile: dockerfile === "" ? "Dockerfile" : dockerfile,
    tags,
    remote: query.text("remote"),
    quiet: query.bool("q"),
    noCache: query.bool("nocache"),
    pull: query.bool("pull"),
    remove: !query.has("rm") || query.bool("rm"),
    forceRemove: query.bool("forcerm"),
    memory: query.int("memory") ?? 0,
    memorySwap: query.int("memswap") ?? 0,
    cpuShares: query.int("cpushares") ?? 0,
    cpuPeriod: query.int("cpuperiod") ?? 0,
    cpuQuota: query.int("cpuquota") ?? 0,
    cpusetCpus: query.text("cpusetcpus"),
    cpusetMems: query.text("cpusetmems"),
    cgroupParent: query.text("cgroupparent"),
    networkMode: query.text("networkmode"),
    extraHosts: query.all("extrahosts"),
    squash: false,
    target: query.text("target"),
    platform: query.text("platform"),
    shmSize: query.int("shmsize") ?? 0,
    ulimits: parseUlimits(query),
    buildArgs: parseBuildArgs(query),
    labels: parseLabels(query),
    cacheFrom: parseCacheFrom(query),
    outputs: parseOutputs(query),
    version: parseVersion(query.text("version")),
    session: query.text("session"),
    buildId: query.text("buildid"),
    registries: parseRegistryConfig(exchange.request),
  };
}

function checkTag(tag: string): void {
  const named = parseNamed(tag);
  if (named.digest !== undefined) throw new EngineError("InvalidParameter", "build tag cannot contain a digest");
}

function parseVersion(text: string): "1" | "2" {
  if (text === "" || text === "1") return "1";
  if (text === "2") return "2";
  throw new EngineError("InvalidParameter", `invalid version ${JSON.stringify(text)}: use 1 or 2`);
}

/** How dockerd calls a parameter in its complaints. */
const faults: Readonly<Record<string, string>> = {
  buildargs: "error reading build args",
  labels: "error reading labels",
  cachefrom: "error reading cache-from",
  ulimits: "error reading ulimit settings",
  outputs: "invalid outputs specified",
};

function member(query: Query, name: string): JsonValue | undefined {
  const text = query.text(name);
  return text === "" ? undefined : parseJson(text, `${faults[name] ?? name}: `);
}

/** An object whose members are texts; null stands for "no value" where it is allowed. */
function textMap(query: Query, name: string): ReadonlyMap<string, string | null> {
  const value = member(query, name);
  if (value === undefined || value === null) return new Map();
  if (!(value instanceof Map)) throw malformed(name, "an object");
  const entries = [...value].map(([key, item]) => {
    if (item !== null && typeof item !== "string") throw malformed(name, "an object of strings");
    return [key, item] as const;
  });
  return new Map(entries);
}

function parseBuildArgs(query: Query): Readonly<Record<string, string | null>> {
  return Object.fromEntries(textMap(query, "buildargs"));
}

function parseLabels(query: Query): Readonly<Record<string, string>> {
  return Object.fromEntries([...textMap(query, "labels")].map(([key, value]) => [key, value ?? ""]));
}

function parseCacheFrom(query: Query): readonly string[] {
  const value = member(query, "cachefrom");
  if (value === undefined || value === null) return [];
  if (!Array.isArray(value) || !value.every((item) => typeof item === "string"))
    throw malformed("cachefrom", "a list of strings");
  return value;
}

function parseUlimits(query: Query): BuildImageRequest["ulimits"] {
  const value = member(query, "ulimits");
  if (value === undefined || value === null) return [];
  if (!Array.isArray(value)) throw malformed("ulimits", "a list");
  return value.map((item) => {
    if (!(item instanceof Map)) throw malformed("ulimits", "a list of objects");
    const [name, soft, hard] = ["Name", "Soft", "Hard"].map((key) => item.get(key));
    if (typeof name !== "string" || !(soft instanceof JsonNumber) || !(hard instanceof JsonNumber))
      throw malformed("ulimits", "a list of {Name, Soft, Hard}");
    return { Name: name, Soft: Number(soft.text), Hard: Number(hard.text) };
  });
}

function parseOutputs(query: Query): BuildImageRequest["outputs"] {
  const value = member(query, "outputs");
  if (value === undefined || value === null) return [];
  if (!Array.isArray(value)) throw malformed("outputs", "a list");
  return value.map((item) => {
    if (!(item instanceof Map)) throw malformed("outputs", "a list of objects");
    const type = item.get("Type");
    const attributes = item.get("Attrs") ?? new Map<string, JsonValue>();
    if (typeof type !== "string" || !(attributes instanceof Map)) throw malformed("outputs", "a list of {Type, Attrs}");
    const Attrs: Record<string, string> = {};
    for (const [key, text] of attributes) {
      if (typeof text !== "string") throw malformed("outputs", "a list of {Type, Attrs} of strings");
      Attrs[key] = text;
    }
    return { Type: type, Attrs };
  });
}

function malformed(name: string, wanted: string): EngineError {
  return new EngineError("InvalidParameter", `${faults[name] ?? name}: it is not ${wanted}`);
}
