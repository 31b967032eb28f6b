// What is asked of a registry without taking an image: search, distribution inspect, login. Nothing is kept here.

import { digestOf } from "../../base/digest.ts";
import { EngineError } from "../../base/errors.ts";
import { parseAnyReference, withDefaultTag } from "../../base/reference.ts";
import type { Repository, SearchResult } from "../../distribution/index.ts";
import { type ParsedDescriptor, parseDocument } from "../../spec/oci/parse.ts";
import {
  type JsonObject,
  maxDocumentBytes,
  optional,
  parseArray,
  parseJson,
  parseObject,
  parseString,
} from "../../spec/parse-json.ts";
import type { DistributionInspect, Filters, RegistryCredentials } from "../api/ports.ts";
import type { ImagesDeps } from "./images.ts";
import type { Images } from "./index.ts";

type InspectedPlatform = DistributionInspect["Platforms"][number];

/**
 * Searches, and keeps what the filters let through.
 *
 * @throws InvalidParameter a filter's value or the term is malformed
 */
export async function searchRegistry(
  deps: ImagesDeps,
  request: Parameters<Images["search"]>[0],
  signal: AbortSignal,
): ReturnType<Images["search"]> {
  const { term, limit, filters, credentials } = request;
  const keeps = parseSearchFilters(filters);
  if (keeps === undefined) return [];
  if (/^https?:\/\//.test(term))
    throw invalid(`invalid repository name: repository name (${term.slice(0, 256)}) should not have a scheme`);
  return (await deps.distribution.search(term, limit, credentials, signal)).filter(keeps);
}

/**
 * Source: dockerd 28.5. Nothing is automated any more, so asking for that finds nothing, without a question to the registry.
 *
 * @returns undefined when nothing can match
 */
export function parseSearchFilters(filters: Filters): ((result: SearchResult) => boolean) | undefined {
  const automated = parseFlag(filters, "is-automated");
  const official = parseFlag(filters, "is-official");
  const stars = (filters.get("stars") ?? []).map(parseStars);
  const least = Math.max(0, ...stars);
  if (automated === true) return undefined;
  return (result) => (official === undefined || result.is_official === official) && result.star_count >= least;
}

function parseFlag(filters: Filters, key: string): boolean | undefined {
  const values = filters.get(key) ?? [];
  if (values.length === 0) return undefined;
  const yes = values.includes("true") || values.includes("1");
  const no = values.includes("false") || values.includes("0");
  if (yes === no) throw invalid(`invalid filter '${key}=[${values.join(" ")}]'`);
  return yes;
}

function parseStars(text: string): number {
  if (/^[+-]?\d{1,15}$/.test(text)) return Number(text);
  const why = `strconv.Atoi: parsing ${JSON.stringify(text.slice(0, 256))}: invalid syntax`;
  throw invalid(`invalid filter 'stars=${text.slice(0, 256)}': ${why}`);
}

/**
 * Descriptor and platforms of what a registry has under a name.
 *
 * @throws InvalidParameter a malformed name, or an image id
 * @throws NotFound "manifest unknown: manifest unknown", as dockerd says it; others as the registry client
 */
export async function inspectDistribution(
  deps: ImagesDeps,
  name: string,
  credentials: RegistryCredentials | undefined,
  signal: AbortSignal,
): Promise<DistributionInspect> {
  const any = parseAnyReference(name);
  if (any.named === undefined) throw invalid("no manifest found for full image ID");
  const named = withDefaultTag(any.named);
  const repository = await deps.distribution.repository(named, "pull", credentials, signal);
  const head = await repository.headManifest(named.digest ?? named.tag ?? "latest", signal);
  if (head === undefined) throw new EngineError("NotFound", "manifest unknown: manifest unknown");
  const { bytes, mediaType, digest } = await repository.manifest(head.digest, signal);
  const document = parseDocument(bytes);
  const platforms =
    document.kind === "index"
      ? platformsOfIndex(bytes)
      : platformOfConfig(await readConfig(repository, document.config, signal));
  return { Descriptor: { mediaType, digest, size: bytes.length }, Platforms: platforms };
}

/** Of every manifest that names one. */
export function platformsOfIndex(bytes: Uint8Array): readonly InspectedPlatform[] {
  const { manifests } = parseObject(parseJson(bytes, "index"), "index");
  return parseArray(manifests, "manifests").flatMap((item) => {
    const platform = optional(parseObject(item, "descriptor")["platform"], "platform", parseObject);
    return platform === undefined ? [] : [renderPlatform(platform)];
  });
}

/** One, or none when the config says nothing of it: it may be no image's. */
export function platformOfConfig(bytes: Uint8Array): readonly InspectedPlatform[] {
  try {
    const platform = renderPlatform(parseObject(parseJson(bytes, "image config"), "image config"));
    return platform.architecture === "" && platform.os === "" ? [] : [platform];
  } catch {
    return [];
  }
}

function renderPlatform(object: JsonObject): InspectedPlatform {
  const text = (key: string): string => optional(object[key], key, parseString) ?? "";
  const version = text("os.version");
  const variant = text("variant");
  return {
    architecture: text("architecture"),
    os: text("os"),
    ...(version === "" ? {} : { "os.version": version }),
    ...(variant === "" ? {} : { variant }),
  };
}

async function readConfig(repository: Repository, config: ParsedDescriptor, signal: AbortSignal): Promise<Buffer> {
  if (config.size > maxDocumentBytes)
    throw invalid(`config ${config.digest} is larger than ${maxDocumentBytes} bytes: ${config.size}`);
  const body = await repository.openBlob(config.digest, 0, signal);
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of body.chunks) {
    size += chunk.length;
    if (size > config.size) break;
    chunks.push(chunk);
  }
  const bytes = Buffer.concat(chunks);
  if (size !== config.size || digestOf(bytes) !== config.digest)
    throw invalid(`config ${config.digest}: the registry sent something else`);
  return bytes;
}

/** Tries credentials, as `docker login` does before it keeps them. */
export async function loginToRegistry(
  deps: ImagesDeps,
  credentials: RegistryCredentials,
  signal: AbortSignal,
): ReturnType<Images["login"]> {
  const { status, identityToken } = await deps.distribution.login(credentials, signal);
  return { Status: status, IdentityToken: identityToken };
}

function invalid(message: string): EngineError {
  return new EngineError("InvalidParameter", message);
}
