// Flags of `gantry build` → what BuildKit's API is asked. Pure but for the environment that is handed in.
// Source: the attributes that docker buildx 0.29 sends.

import type { Flags } from "../../../base/flags.ts";
import { parseRamBytes } from "../../../base/units.ts";
import { CliError } from "../command.ts";
import { parseCsv, parsePairs } from "./csv.ts";

export interface BuildOutput {
  readonly type: string;
  readonly attributes: Readonly<Record<string, string>>;
  /** A file or directory here; "-" is stdout; undefined where nothing comes to the client. */
  readonly destination: string | undefined;
}

export interface CacheOption {
  readonly type: string;
  readonly attributes: Readonly<Record<string, string>>;
  /** Of type local: a directory here. */
  readonly directory: string | undefined;
}

interface LayoutReference {
  readonly path: string;
  readonly tag: string;
  /** undefined: what the tag means in the layout. */
  readonly digest: string | undefined;
}

export interface BuildOptions {
  /** Frontend attributes beside the contexts' and the Dockerfile's. */
  readonly attributes: Readonly<Record<string, string>>;
  readonly outputs: readonly BuildOutput[];
  readonly cacheFrom: readonly CacheOption[];
  readonly cacheTo: readonly CacheOption[];
  readonly entitlements: readonly string[];
  readonly secrets: readonly {
    readonly id: string;
    readonly path: string | undefined;
    readonly env: string | undefined;
  }[];
  /** Socket of an agent, by id. */
  readonly agents: ReadonlyMap<string, string>;
  /** Named contexts that are directories here. */
  readonly directories: ReadonlyMap<string, string>;
  /** Named contexts that are images in OCI layouts here. */
  readonly layouts: ReadonlyMap<string, LayoutReference>;
  readonly question: "outline" | "targets" | "lint" | "plan" | undefined;
  readonly progress: "plain" | "tty" | "auto" | "quiet";
}

/** @throws CliError the first flag that is wrong, by name */
export function planBuild(flags: Flags, env: Readonly<Record<string, string | undefined>>): BuildOptions {
  const directories = new Map<string, string>();
  const layouts = new Map<string, LayoutReference>();
  const attributes: Record<string, string> = {};
  const put = (key: string, value: string): void => {
    if (value !== "") attributes[key] = value;
  };
  put("target", flags.string("target"));
  put(
    "platform",
    flags
      .strings("platform")
      .flatMap((text) => text.split(","))
      .join(","),
  );
  put("cgroup-parent", flags.string("cgroup-parent"));
  put("add-hosts", flags.strings("add-host").map(hostOf).join(","));
  put("ulimit", flags.strings("ulimit").join(","));
  if (flags.string("shm-size") !== "") attributes["shm-size"] = String(parseRamBytes(flags.string("shm-size")));
  if (flags.string("network") !== "default") attributes["force-network-mode"] = flags.string("network");
  if (flags.bool("pull")) attributes["image-resolve-mode"] = "pull";
  if (flags.bool("no-cache")) attributes["no-cache"] = "";
  else if (flags.strings("no-cache-filter").length > 0)
    attributes["no-cache"] = flags.strings("no-cache-filter").join(",");
  // As buildx: the reproducible-builds convention, unless an argument says otherwise.
  if ((env["SOURCE_DATE_EPOCH"] ?? "") !== "")
    attributes["build-arg:SOURCE_DATE_EPOCH"] = env["SOURCE_DATE_EPOCH"] ?? "";
  for (const [name, value] of assignments(flags.strings("build-arg"), env)) attributes[`build-arg:${name}`] = value;
  for (const text of flags.strings("label")) {
    const [key, value] = cut(text);
    if (key === "") throw new CliError(`invalid label ${JSON.stringify(text)}: it has no name`);
    attributes[`label:${key}`] = value ?? "";
  }
  for (const text of flags.strings("build-context")) {
    const [name, value] = cut(text);
    if (name === "" || value === undefined || value === "")
      throw new CliError(`invalid build context ${text}: give NAME=PATH or NAME=URL`);
    if (value.startsWith(layoutScheme)) layouts.set(name, layoutOf(value.slice(layoutScheme.length)));
    else if (isRemote(value)) attributes[`context:${name}`] = value;
    else {
      attributes[`context:${name}`] = `local:${name}`;
      directories.set(name, value);
    }
  }
  putAttestations(flags, attributes);
  const question = questionOf(flags);
  if (question !== undefined) attributes["requestid"] = questionIds[question];
  const network = flags.string("network") === "host" ? ["network.host"] : [];
  return {
    attributes,
    outputs: question === undefined ? outputsOf(flags) : [],
    cacheFrom: flags.strings("cache-from").map((text) => cacheOf(text, "src", "cache-from")),
    cacheTo: flags.strings("cache-to").map((text) => cacheOf(text, "dest", "cache-to")),
    entitlements: [...new Set([...flags.strings("allow").flatMap((text) => text.split(",")), ...network])],
    secrets: flags.strings("secret").map(secretOf),
    agents: agentsOf(flags.strings("ssh"), env),
    directories,
    layouts,
    question,
    progress: progressOf(flags, env),
  };
}

const layoutScheme = "oci-layout://";

/** PATH[:TAG][@DIGEST] */
function layoutOf(text: string): LayoutReference {
  const [, path = "", tag = "latest", digest] = /^([^@]*?)(?::([^:@/]+))?(?:@(.+))?$/.exec(text) ?? [];
  if (path === "") throw new CliError(`invalid OCI layout ${text}: give oci-layout://PATH[:TAG][@DIGEST]`);
  return { path, tag, digest };
}

const questionIds = {
  outline: "frontend.outline",
  targets: "frontend.targets",
  lint: "frontend.lint",
  plan: "gantry.plan",
} as const;

function questionOf(flags: Flags): BuildOptions["question"] {
  if (flags.bool("plan")) return "plan";
  const call = flags.bool("check") ? "check" : flags.string("call");
  if (call === "build") return undefined;
  if (call === "check" || call === "lint") return "lint";
  if (call === "outline" || call === "targets") return call;
  throw new CliError(`invalid value ${JSON.stringify(call)} for --call: use build, check, outline or targets`);
}

function progressOf(flags: Flags, env: Readonly<Record<string, string | undefined>>): BuildOptions["progress"] {
  if (flags.bool("quiet")) return "quiet";
  const text = flags.isSet("progress") ? flags.string("progress") : (env["BUILDKIT_PROGRESS"] ?? "auto");
  if (text === "none") return "quiet";
  if (text === "auto" || text === "plain" || text === "tty" || text === "quiet") return text;
  throw new CliError(`invalid value ${JSON.stringify(text)} for --progress: use auto, plain, tty or quiet`);
}

/** "NAME:IP" and "NAME=IP" → "NAME=IP". */
function hostOf(text: string): string {
  const m = /^([^:=]+)[:=](.+)$/.exec(text);
  if (m === null) throw new CliError(`invalid add-host ${text}: give NAME:IP`);
  return `${m[1]}=${m[2]}`;
}

/** A name without "=" takes the environment's value, and is left out where there is none. */
function assignments(
  texts: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
): readonly (readonly [string, string])[] {
  return texts.flatMap((text) => {
    const [name, value = env[name]] = cut(text);
    if (name === "") throw new CliError(`invalid build argument ${JSON.stringify(text)}: it has no name`);
    return value === undefined ? [] : [[name, value] as const];
  });
}

function cut(text: string): readonly [string, string | undefined] {
  const equals = text.indexOf("=");
  return equals < 0 ? [text, undefined] : [text.slice(0, equals), text.slice(equals + 1)];
}

/** What is no path of this machine. */
export function isRemote(text: string): boolean {
  return (
    /^(?:https?|git|ssh|docker-image|oci-layout|target|input):\/\//i.test(text) || /^(?:git@|github\.com\/)/.test(text)
  );
}

function putAttestations(flags: Flags, attributes: Record<string, string>): void {
  for (const text of flags.strings("attest")) {
    const fields = parsePairs(text, "attest");
    const type = fields.get("type");
    if (type !== "provenance" && type !== "sbom")
      throw new CliError(`invalid attestation ${text}: the type is provenance or sbom`);
    if (fields.get("disabled") === "true") delete attributes[`attest:${type}`];
    else
      attributes[`attest:${type}`] = [...fields]
        .filter(([key]) => key !== "type" && key !== "disabled")
        .map(([key, value]) => `${key}=${value}`)
        .join(",");
  }
  const provenance = flags.string("provenance");
  if (provenance === "true") attributes["attest:provenance"] = "mode=min";
  else if (provenance !== "" && provenance !== "false") attributes["attest:provenance"] = provenance;
  const sbom = flags.string("sbom");
  if (sbom !== "" && sbom !== "false") attributes["attest:sbom"] = sbom === "true" ? "" : sbom;
}

function outputsOf(flags: Flags): readonly BuildOutput[] {
  const names = flags.strings("tag");
  const outputs = flags.strings("output").map(outputOf);
  if (flags.bool("push")) outputs.push({ type: "image", attributes: { push: "true" }, destination: undefined });
  if (flags.bool("load") || outputs.length === 0)
    outputs.push({ type: "moby", attributes: {}, destination: undefined });
  const annotations = annotationsOf(flags.strings("annotation"));
  return outputs.map(({ type, attributes, destination }) => ({
    type,
    destination,
    attributes: {
      ...(names.length > 0 && type !== "local" && type !== "tar" ? { name: names.join(",") } : {}),
      ...annotations,
      ...attributes,
    },
  }));
}

/** "KEY=VALUE" and "TYPE:KEY=VALUE", as the attributes of exporters. */
function annotationsOf(texts: readonly string[]): Readonly<Record<string, string>> {
  const attributes: Record<string, string> = {};
  for (const text of texts) {
    const m = /^(?:(manifest|index|manifest-descriptor|index-descriptor)(?:\[[^\]]*\])?:)?([^=]+)=(.*)$/s.exec(text);
    if (m === null) throw new CliError(`invalid annotation ${JSON.stringify(text)}: give KEY=VALUE`);
    attributes[`${m[1] === undefined ? "annotation" : `annotation-${m[1]}`}.${m[2]}`] = m[3] ?? "";
  }
  return attributes;
}

function outputOf(text: string): BuildOutput {
  if (!text.includes("=")) {
    if (text === "-") return { type: "tar", attributes: {}, destination: "-" };
    return { type: "local", attributes: {}, destination: text };
  }
  const fields = parsePairs(text, "output");
  const type = fields.get("type");
  if (type === undefined) throw new CliError(`type is required for output ${text}`);
  const destination = fields.get("dest") ?? fields.get("destination");
  const attributes = Object.fromEntries([...fields].filter(([key]) => !["type", "dest", "destination"].includes(key)));
  if (type === "registry")
    return { type: "image", attributes: { ...attributes, push: "true" }, destination: undefined };
  if ((type === "oci" || type === "docker") && attributes["tar"] === "false" && destination === undefined)
    throw new CliError(`dest is required for ${type} output with tar=false`);
  if (type === "local" && destination === undefined) throw new CliError("dest is required for local output");
  if ((type === "tar" || type === "oci") && destination === undefined) return { type, attributes, destination: "-" };
  if (type === "docker" && destination === undefined) return { type: "moby", attributes, destination };
  return { type, attributes, destination };
}

function cacheOf(text: string, directoryKey: "src" | "dest", flag: string): CacheOption {
  if (parseCsv(text).length === 1 && !text.includes("="))
    return { type: "registry", attributes: { ref: text }, directory: undefined };
  const fields = parsePairs(text, flag);
  const type = fields.get("type");
  if (type === undefined) throw new CliError(`type is required in --${flag} ${text}`);
  const directory = type === "local" ? fields.get(directoryKey) : undefined;
  if (type === "local" && directory === undefined)
    throw new CliError(`${directoryKey} is required for --${flag} type=local`);
  const attributes = Object.fromEntries([...fields].filter(([key]) => key !== "type" && key !== directoryKey));
  return { type, attributes, directory };
}

function secretOf(text: string): BuildOptions["secrets"][number] {
  const fields = parsePairs(text, "secret");
  const allowed = new Set(["type", "id", "source", "src", "env"]);
  for (const key of fields.keys())
    if (!allowed.has(key)) throw new CliError(`unexpected key '${key}' in --secret ${text}`);
  const type = fields.get("type") ?? "file";
  if (type !== "file" && type !== "env") throw new CliError(`unsupported secret type ${JSON.stringify(type)}`);
  const source = fields.get("source") ?? fields.get("src");
  const env = fields.get("env") ?? (type === "env" ? source : undefined);
  const id = fields.get("id");
  if (id === undefined || id === "") throw new CliError(`--secret ${text} has no id`);
  return { id, env, path: env === undefined ? source : undefined };
}

function agentsOf(
  texts: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
): ReadonlyMap<string, string> {
  return new Map(
    texts.map((text) => {
      const [id, path = env["SSH_AUTH_SOCK"]] = cut(text);
      if (path === undefined || path === "")
        throw new CliError(`invalid empty ssh agent socket: start ssh-agent, or give --ssh ${id}=SOCKET`);
      return [id === "" ? "default" : id, path] as const;
    }),
  );
}
