// The classic endpoint's query → what the builder is asked. Pure.

import { EngineError } from "../../../base/errors.ts";
import { hostArchitecture, parsePlatform } from "../../../spec/oci/platform.ts";
import type { Platform } from "../../../spec/oci/image.ts";
import type { BuildImageRequest } from "../../api/ports.ts";
import type { OutputRequest } from "../export/index.ts";
import type { NamedContext, StepLimits } from "../graph/index.ts";
import type { FrontendRequest } from "../index.ts";

/** @param context where the files are: the request's own tar, a repository, a download */
export function frontendRequestOf(request: BuildImageRequest, context: NamedContext): FrontendRequest {
  const buildArgs = new Map(
    Object.entries(request.buildArgs).flatMap(([name, value]) => (value === null ? [] : [[name, value] as const])),
  );
  return {
    target: request.target,
    platforms: [platformOf(request.platform)],
    buildArgs,
    labels: request.labels,
    noCache: request.noCache,
    networkMode: networkModeOf(request.networkMode),
    hostname: "",
    limits: limitsOf(request),
    sourceDateEpoch: epochOf(buildArgs.get("SOURCE_DATE_EPOCH")),
    cacheMountNamespace: buildArgs.get("BUILDKIT_CACHE_MOUNT_NS") ?? "",
    filename: request.dockerfile,
    dockerfile: context.kind === "local" ? { kind: "directory", name: "dockerfile" } : { kind: "context" },
    context,
    contextSubdirectory: "",
    namedContexts: new Map(),
    pull: request.pull ? "always" : "missing",
    cacheImports: request.cacheFrom.map((ref) => ({ type: "registry", attributes: { ref, "ignore-error": "true" } })),
    attest: { provenance: undefined, sbom: false },
    subrequest: undefined,
    raw: rawOf(request),
  };
}

/** The image store under every tag, or what the client asks for. */
export function outputsOf(request: BuildImageRequest): readonly OutputRequest[] {
  if (request.outputs.length === 0)
    return [{ type: "moby", attributes: request.tags.length === 0 ? {} : { name: request.tags.join(",") }, index: 0 }];
  return request.outputs.map(({ Type, Attrs }, index) => ({
    type: Type as OutputRequest["type"],
    attributes: Attrs,
    index,
  }));
}

function platformOf(text: string): Platform {
  const host = { os: "linux", architecture: hostArchitecture() };
  if (text === "") return host;
  const { os, architecture, variant } = parsePlatform(text);
  const named = { os, architecture: architecture === "" ? host.architecture : architecture };
  return variant === "" ? named : { ...named, variant };
}

function networkModeOf(text: string): FrontendRequest["networkMode"] {
  if (text === "" || text === "default" || text === "bridge") return "default";
  if (text === "none" || text === "host") return text;
  if (text.startsWith("container:"))
    throw new EngineError(
      "NotImplemented",
      `network mode ${JSON.stringify(text)} is not supported for builds: use default, none, host or the name of a network`,
    );
  return "default";
}

/** A network of the engine that steps join in place of the default one. */
function networkNameOf(text: string): Pick<StepLimits, "networkName"> {
  return ["", "default", "bridge", "none", "host"].includes(text) ? {} : { networkName: text };
}

function epochOf(text: string | undefined): number | undefined {
  if (text === undefined || text === "") return undefined;
  if (!/^[0-9]{1,11}$/.test(text))
    throw new EngineError("InvalidParameter", `invalid SOURCE_DATE_EPOCH: ${text}: give seconds since 1970`);
  return Number(text);
}

function limitsOf(request: BuildImageRequest): StepLimits {
  const given = (value: number): number | undefined => (value === 0 ? undefined : value);
  const said = (text: string): string | undefined => (text === "" ? undefined : text);
  return {
    extraHosts: request.extraHosts,
    shmSizeBytes: given(request.shmSize),
    ulimits: request.ulimits,
    cgroupParent: said(request.cgroupParent),
    memoryBytes: given(request.memory),
    memorySwapBytes: given(request.memorySwap),
    cpuShares: given(request.cpuShares),
    cpuPeriodUs: given(request.cpuPeriod),
    cpuQuotaUs: given(request.cpuQuota),
    cpusetCpus: said(request.cpusetCpus),
    cpusetMems: said(request.cpusetMems),
    ...networkNameOf(request.networkMode),
  };
}

/** In BuildKit's words, for history and provenance. */
function rawOf(request: BuildImageRequest): Readonly<Record<string, string>> {
  const raw: Record<string, string> = { filename: request.dockerfile };
  if (request.target !== "") raw["target"] = request.target;
  if (request.platform !== "") raw["platform"] = request.platform;
  if (request.noCache) raw["no-cache"] = "";
  if (request.remote !== "" && request.remote !== "client-session") raw["context"] = request.remote;
  for (const [name, value] of Object.entries(request.buildArgs)) if (value !== null) raw[`build-arg:${name}`] = value;
  for (const [name, value] of Object.entries(request.labels)) raw[`label:${name}`] = value;
  return raw;
}
