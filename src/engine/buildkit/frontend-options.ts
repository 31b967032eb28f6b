// Options of the frontend dockerfile.v0 → what the builder is asked. Pure. What is not known and changes the result is refused by
// its name. Source: BuildKit, frontend/dockerui (config and named contexts); buildx's build options.

import { EngineError } from "../../base/errors.ts";
import type { Platform } from "../../spec/oci/image.ts";
import { hostArchitecture, parsePlatform } from "../../spec/oci/platform.ts";
import type { CacheRequest } from "../build/cache/index.ts";
import type { NamedContext, StepLimits } from "../build/graph/index.ts";
import type { FrontendRequest } from "../build/index.ts";
import { isGitUrl, parseGitUrl } from "../build/sources/git-url.ts";

/** Says where a value of an option is that is no text: a graph that the client passed beside the options. */
export type InputOf = (name: string) => NamedContext | undefined;

/** The client's directories that another session has, by their names. */
export type SessionOfDirectory = ReadonlyMap<string, string>;

export interface FrontendOptions {
  readonly request: FrontendRequest;
  readonly directories: SessionOfDirectory;
  /** BUILDKIT_INLINE_CACHE=1. */
  readonly inlineCache: boolean;
}

/** Options that need no parsing of their own, or that say nothing about the result. */
const plainKeys = new Set([
  "add-hosts",
  "cache-from",
  "cache-imports",
  "cgroup-parent",
  "context",
  "contextkey",
  "contextsubdir",
  "cpu-period",
  "cpu-quota",
  "cpu-shares",
  "cpuset-cpus",
  "cpuset-mems",
  "dockerfilekey",
  "filename",
  "force-network-mode",
  "frontend.caps",
  "hostname",
  "image-resolve-mode",
  "memory",
  "memory-swap",
  "multi-platform",
  "no-cache",
  "platform",
  "requestid",
  "shm-size",
  "source",
  "cmdline",
  "target",
  "ulimit",
]);
const prefixes = ["attest:", "build-arg:", "context:", "input-metadata:", "label:", "local-sessionid:", "vcs:"];

const subrequests: Readonly<Record<string, FrontendRequest["subrequest"]>> = {
  "frontend.outline": "outline",
  "frontend.targets": "targets",
  "frontend.lint": "lint",
  "frontend.subrequests.describe": "describe",
  "subrequests.describe": "describe",
  "gantry.plan": "plan",
};

/** @throws InvalidParameter, NotImplemented the first option that cannot be done, by its name */
export function parseFrontendOptions(
  options: ReadonlyMap<string, string>,
  input: InputOf,
  cacheImports: readonly CacheRequest[],
): FrontendOptions {
  for (const key of options.keys())
    if (!plainKeys.has(key) && !prefixes.some((prefix) => key.startsWith(prefix)))
      throw new EngineError("NotImplemented", `the frontend option ${JSON.stringify(key)} is not supported`);
  const text = (key: string): string => options.get(key) ?? "";
  const buildArgs = withPrefix(options, "build-arg:");
  checkFrontend(text("source"), "source");
  checkFrontend(buildArgs.get("BUILDKIT_SYNTAX") ?? "", "BUILDKIT_SYNTAX");
  const context = parseMainContext(options, input);
  const local = context.kind === "local" || options.has("dockerfilekey");
  const request: FrontendRequest = {
    target: text("target"),
    platforms: parsePlatforms(text("platform")),
    buildArgs,
    labels: Object.fromEntries(withPrefix(options, "label:")),
    noCache: parseNoCache(options.get("no-cache")),
    networkMode: parseNetworkMode(text("force-network-mode")),
    hostname: text("hostname") || (buildArgs.get("BUILDKIT_SANDBOX_HOSTNAME") ?? ""),
    limits: parseLimits(text),
    sourceDateEpoch: parseEpoch(buildArgs.get("SOURCE_DATE_EPOCH")),
    cacheMountNamespace: buildArgs.get("BUILDKIT_CACHE_MOUNT_NS") ?? "",
    filename: text("filename") || "Dockerfile",
    dockerfile: local ? { kind: "directory", name: text("dockerfilekey") || "dockerfile" } : { kind: "context" },
    context,
    contextSubdirectory: text("contextsubdir"),
    namedContexts: parseNamedContexts(options, input),
    pull: parseResolveMode(text("image-resolve-mode")),
    cacheImports: [
      ...cacheImports,
      ...parseCacheImports(text("cache-imports")),
      ...legacyCacheFrom(text("cache-from")),
    ],
    attest: parseAttestations(options),
    subrequest: parseSubrequest(text("requestid")),
    raw: Object.fromEntries(options),
  };
  return {
    request,
    directories: withPrefix(options, "local-sessionid:"),
    inlineCache: isTrue(buildArgs.get("BUILDKIT_INLINE_CACHE") ?? ""),
  };
}

function withPrefix(options: ReadonlyMap<string, string>, prefix: string): ReadonlyMap<string, string> {
  return new Map(
    [...options].flatMap(([key, value]) =>
      key.startsWith(prefix) ? [[key.slice(prefix.length), value] as const] : [],
    ),
  );
}

/** The Dockerfile frontend is built in; another one would have to run as a container. */
function checkFrontend(reference: string, what: string): void {
  if (reference === "" || /^(?:docker\.io\/)?docker\/dockerfile(?:-upstream)?(?:[:@]|$)/.test(reference)) return;
  throw new EngineError(
    "NotImplemented",
    `${what}: the frontend ${JSON.stringify(reference)} is not supported: leave it out, or use docker/dockerfile`,
  );
}

function parseSubrequest(id: string): FrontendRequest["subrequest"] {
  if (id === "") return undefined;
  const subrequest = subrequests[id];
  if (subrequest === undefined) throw new EngineError("NotImplemented", `unsupported request ${id}`);
  return subrequest;
}

function parsePlatforms(text: string): readonly Platform[] {
  const host = { os: "linux", architecture: hostArchitecture() };
  if (text === "") return [host];
  return text.split(",").map((each) => {
    const { os, architecture, variant } = parsePlatform(each.trim());
    const platform = { os, architecture: architecture === "" ? host.architecture : architecture };
    return variant === "" ? platform : { ...platform, variant };
  });
}

function parseNoCache(text: string | undefined): boolean | readonly string[] {
  if (text === undefined) return false;
  return text === "" ? true : parseCsv(text);
}

function parseNetworkMode(mode: string): FrontendRequest["networkMode"] {
  if (mode === "") return "default";
  if (mode === "default" || mode === "none" || mode === "host" || mode === "sandbox") return mode;
  throw new EngineError("InvalidParameter", `invalid netmode ${mode}`);
}

function parseResolveMode(mode: string): "always" | "missing" {
  if (mode === "pull") return "always";
  if (mode === "" || mode === "default" || mode === "local") return "missing";
  throw new EngineError("InvalidParameter", `invalid image-resolve-mode: ${mode}`);
}

function parseEpoch(text: string | undefined): number | undefined {
  if (text === undefined || text === "") return undefined;
  // A context's own time is not known before it is here.
  if (text === "context") throw new EngineError("NotImplemented", "SOURCE_DATE_EPOCH=context is not supported");
  if (!/^\d{1,11}$/.test(text))
    throw new EngineError("InvalidParameter", `invalid SOURCE_DATE_EPOCH: ${text}: give seconds since 1970`);
  return Number(text);
}

function parseLimits(text: (key: string) => string): StepLimits {
  const said = (key: string): string | undefined => (text(key) === "" ? undefined : text(key));
  const number = (key: string): number | undefined => {
    const value = said(key);
    if (value === undefined) return undefined;
    if (!/^-?\d{1,15}$/.test(value)) throw new EngineError("InvalidParameter", `failed to parse ${key}: ${value}`);
    return Number(value);
  };
  return {
    extraHosts: parseCsv(text("add-hosts")).map(parseExtraHost),
    shmSizeBytes: number("shm-size"),
    ulimits: parseCsv(text("ulimit")).map(parseUlimit),
    cgroupParent: said("cgroup-parent"),
    memoryBytes: number("memory"),
    memorySwapBytes: number("memory-swap"),
    cpuShares: number("cpu-shares"),
    cpuPeriodUs: number("cpu-period"),
    cpuQuotaUs: number("cpu-quota"),
    cpusetCpus: said("cpuset-cpus"),
    cpusetMems: said("cpuset-mems"),
  };
}

/** "name=ip" → "name:ip", as the API has it. */
function parseExtraHost(entry: string): string {
  const [, name = "", ip = ""] = /^([^=]*)=(.*)$/.exec(entry) ?? [];
  if (name === "" || ip === "") throw new EngineError("InvalidParameter", `invalid key-value pair ${entry}`);
  return `${name}:${ip}`;
}

/** "nofile=1024:2048"; -1 is no limit. */
function parseUlimit(entry: string): StepLimits["ulimits"][number] {
  const [, name = "", soft = "", hard = soft] = /^([a-z]+)=(-?\d{1,19})(?::(-?\d{1,19}))?$/.exec(entry) ?? [];
  if (name === "") throw new EngineError("InvalidParameter", `invalid ulimit argument: ${entry}`);
  return { Name: name, Soft: Number(soft), Hard: Number(hard) };
}

/** One line of comma separated values, `"` around those that have commas. */
export function parseCsv(line: string): readonly string[] {
  if (line === "") return [];
  const values: string[] = [];
  for (let at = 0; at <= line.length; ) {
    const match = /^(?:"((?:[^"]|"")*)"|([^,"]*))(?:,|$)/.exec(line.slice(at));
    if (match === null) throw new EngineError("InvalidParameter", `malformed list of values: ${line}`);
    values.push(match[1]?.replaceAll('""', '"') ?? match[2] ?? "");
    if (!match[0].endsWith(",")) break;
    at += match[0].length;
  }
  return values;
}

function parseMainContext(options: ReadonlyMap<string, string>, input: InputOf): NamedContext {
  const value = options.get("context") ?? "";
  const name = options.get("contextkey") ?? "context";
  if (value === "") return input(name) ?? { kind: "local", name };
  return parseContext("context", value, input);
}

function parseNamedContexts(options: ReadonlyMap<string, string>, input: InputOf): ReadonlyMap<string, NamedContext> {
  return new Map(
    [...withPrefix(options, "context:")].map(([name, value]) => [
      name.toLowerCase(),
      parseContext(`context:${name}`, value, input),
    ]),
  );
}

function parseContext(key: string, value: string, input: InputOf): NamedContext {
  const [, scheme = "", rest = ""] = /^([a-z][a-z0-9-]*):(.*)$/s.exec(value) ?? [];
  switch (scheme) {
    case "local":
      return { kind: "local", name: rest };
    case "docker-image":
      return { kind: "image", reference: rest.replace(/^\/\//, "") };
    case "oci-layout":
      return parseOciLayout(key, rest.replace(/^\/\//, ""));
    case "input": {
      const found = input(rest);
      if (found === undefined) throw new EngineError("InvalidParameter", `${key}: no input ${rest} was given`);
      return found;
    }
    default:
  }
  if (isGitUrl(value)) {
    const { remote, ref, subdirectory } = parseGitUrl(value);
    return { kind: "git", remote, ref, subdirectory };
  }
  if (scheme === "http" || scheme === "https")
    // A named context is the file itself, as it is called there.
    return key === "context"
      ? { kind: "http", url: value, filename: "context" }
      : { kind: "http", url: value, filename: "", unpack: false };
  throw new EngineError("InvalidParameter", `${key}: unsupported context source ${scheme || value}`);
}

/** "store[:tag]@digest": the store's id stands where an image's name would. */
function parseOciLayout(key: string, reference: string): NamedContext {
  const [, storeId = "", digest] = /^([^:@]+)(?::[^@]*)?(?:@(.+))?$/.exec(reference) ?? [];
  if (storeId === "" || digest === undefined)
    throw new EngineError(
      "InvalidParameter",
      `${key}: oci-layout reference ${JSON.stringify(reference)} has no digest`,
    );
  return { kind: "oci-layout", storeId, reference };
}

function parseCacheImports(json: string): readonly CacheRequest[] {
  if (json === "") return [];
  const malformed = new EngineError("InvalidParameter", `failed to unmarshal cache-imports ${JSON.stringify(json)}`);
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch {
    throw malformed;
  }
  if (!Array.isArray(value)) throw malformed;
  return value.map((entry: unknown) => {
    const { Type, Attrs } = (entry ?? {}) as { readonly Type?: unknown; readonly Attrs?: unknown };
    if (typeof Type !== "string") throw malformed;
    const attributes = Object.entries(Attrs ?? {}).map(([key, text]) => [key, String(text)]);
    return cacheRequestOf("import", Type, Object.fromEntries(attributes));
  });
}

/** @throws NotImplemented a kind of cache that there is none of */
export function cacheRequestOf(
  what: "import" | "export",
  type: string,
  attributes: Readonly<Record<string, string>>,
): CacheRequest {
  if (type === "registry" || type === "local" || type === "inline") return { type, attributes };
  throw new EngineError(
    "NotImplemented",
    `cache ${what} of type ${JSON.stringify(type)} is not supported: use registry, local or inline`,
  );
}

function legacyCacheFrom(text: string): readonly CacheRequest[] {
  return text === "" ? [] : text.split(",").map((ref) => ({ type: "registry", attributes: { ref } }));
}

function parseAttestations(options: ReadonlyMap<string, string>): FrontendRequest["attest"] {
  let provenance: FrontendRequest["attest"]["provenance"];
  let sbom = false;
  for (const [type, text] of withPrefix(options, "attest:")) {
    // buildx repeats the kind in its value.
    const attributes = new Map(
      parseCsv(text)
        .map(splitPair)
        .filter(([key, value]) => key !== "type" || value !== type),
    );
    if (isTrue(attributes.get("disabled") ?? "")) continue;
    if (type === "sbom") sbom = parseSbom(attributes);
    else if (type === "provenance") provenance = parseProvenance(attributes);
    else throw new EngineError("InvalidParameter", `unsupported attestation type ${JSON.stringify(type)}`);
  }
  return { provenance, sbom };
}

function parseSbom(attributes: ReadonlyMap<string, string>): boolean {
  const generator = attributes.get("generator") ?? "";
  // The scanner is built in; the default image of BuildKit's is what it stands for.
  if (generator !== "" && !/^(?:docker\.io\/)?docker\/buildkit-syft-scanner(?:[:@]|$)/.test(generator))
    throw new EngineError("NotImplemented", `attest:sbom: the generator ${JSON.stringify(generator)} is not supported`);
  for (const key of attributes.keys())
    if (key !== "generator" && key !== "disabled")
      throw new EngineError("NotImplemented", `attest:sbom: the attribute ${JSON.stringify(key)} is not supported`);
  return true;
}

function parseProvenance(attributes: ReadonlyMap<string, string>): FrontendRequest["attest"]["provenance"] {
  for (const key of attributes.keys())
    if (!["mode", "inline-only", "version", "disabled", "builder-id", "reproducible"].includes(key))
      throw new EngineError(
        "NotImplemented",
        `attest:provenance: the attribute ${JSON.stringify(key)} is not supported`,
      );
  // What buildx adds unasked: it goes into the history, and no image becomes an index for its sake.
  if (isTrue(attributes.get("inline-only") ?? "")) return undefined;
  const mode = attributes.get("mode") ?? "max";
  if (mode !== "min" && mode !== "max")
    throw new EngineError("InvalidParameter", `attest:provenance: invalid mode ${JSON.stringify(mode)}`);
  const version = (attributes.get("version") ?? "v0.2").replace(/^slsa/, "");
  if (version !== "v0.2" && version !== "v1")
    throw new EngineError("InvalidParameter", `attest:provenance: invalid version ${JSON.stringify(version)}`);
  return { mode, version };
}

function splitPair(pair: string): readonly [string, string] {
  const at = pair.indexOf("=");
  return at < 0 ? [pair.toLowerCase(), ""] : [pair.slice(0, at).toLowerCase(), pair.slice(at + 1)];
}

/** As Go's strconv.ParseBool. */
function isTrue(text: string): boolean {
  return ["1", "t", "T", "true", "TRUE", "True"].includes(text);
}
