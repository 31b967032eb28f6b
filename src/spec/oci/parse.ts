// OCI documents and docker's manifest.json: unknown → typed, or refused. A document that could be both an index and a manifest
// is neither (CVE-2021-41190). Source: OCI image-spec 1.1, image-index.md, manifest.md, config.md.

import { type Digest, type DiffId, parseDiffId, parseDigest } from "../../base/digest.ts";
import { EngineError } from "../../base/errors.ts";
import type { Platform } from "./image.ts";
import {
  type JsonObject,
  optional,
  parseArray,
  parseJson,
  parseObject,
  parseString,
  parseStringMap,
  parseStrings,
} from "../parse-json.ts";

/** A descriptor with its digest parsed. */
export interface ParsedDescriptor {
  readonly mediaType: string;
  readonly digest: Digest;
  readonly size: number;
  readonly annotations: Readonly<Record<string, string>>;
  readonly platform: Platform | undefined;
}

export type ParsedDocument =
  | { readonly kind: "index"; readonly manifests: readonly ParsedDescriptor[] }
  | {
      readonly kind: "manifest";
      /** As it says itself; OCI's where it says nothing. */
      readonly mediaType: string;
      readonly config: ParsedDescriptor;
      readonly layers: readonly ParsedDescriptor[];
    };

/** One image of a docker-archive's manifest.json. */
export interface DockerManifestEntry {
  readonly config: string;
  readonly repoTags: readonly string[];
  readonly layers: readonly string[];
  /** The image that it was made from, where that is in the archive too. */
  readonly parent?: Digest;
}

const indexTypes = new Set([
  "application/vnd.oci.image.index.v1+json",
  "application/vnd.docker.distribution.manifest.list.v2+json",
]);
const ociManifestType = "application/vnd.oci.image.manifest.v1+json";
const manifestTypes = new Set([ociManifestType, "application/vnd.docker.distribution.manifest.v2+json"]);
// Longer than any stack that can be mounted, or index that anybody writes.
const maxItems = 1024;

function refused(message: string): EngineError {
  return new EngineError("InvalidParameter", message);
}

function parsePlatformObject(value: unknown, what: string): Platform {
  const object = parseObject(value, what);
  const variant = optional(object["variant"], `${what}.variant`, parseString);
  return {
    os: parseString(object["os"], `${what}.os`),
    architecture: parseString(object["architecture"], `${what}.architecture`),
    ...(variant === undefined ? {} : { variant }),
  };
}

function parseDescriptor(value: unknown, what: string): ParsedDescriptor {
  const object = parseObject(value, what);
  const size = object["size"];
  if (typeof size !== "number" || !Number.isSafeInteger(size) || size < 0) throw refused(`invalid ${what}: bad size`);
  return {
    mediaType: parseString(object["mediaType"], `${what}.mediaType`),
    digest: parseDigest(parseString(object["digest"], `${what}.digest`)),
    size,
    annotations: optional(object["annotations"], `${what}.annotations`, parseStringMap) ?? {},
    platform: optional(object["platform"], `${what}.platform`, parsePlatformObject),
  };
}

function parseDescriptors(value: unknown, what: string): readonly ParsedDescriptor[] {
  const items = parseArray(value, what);
  if (items.length > maxItems) throw refused(`invalid ${what}: more than ${maxItems} entries`);
  return items.map((item, index) => parseDescriptor(item, `${what}[${index}]`));
}

/**
 * An index or a manifest.
 *
 * @throws InvalidParameter neither, or both
 */
export function parseDocument(bytes: Uint8Array): ParsedDocument {
  const object = parseObject(parseJson(bytes, "manifest"), "manifest");
  const has = (key: string): boolean => Object.keys(object).some((k) => k.toLowerCase() === key);
  const mediaType = optional(object["mediaType"], "manifest.mediaType", parseString);
  if (object["schemaVersion"] !== 2) throw refused("invalid manifest: schemaVersion is not 2");
  if (has("manifests") && (has("layers") || has("config"))) throw refused("invalid manifest: it is an index as well");
  if (has("fslayers") || has("history")) throw refused("invalid manifest: it is one of schema 1 as well");
  if (object["manifests"] !== undefined) {
    if (mediaType !== undefined && !indexTypes.has(mediaType))
      throw refused("invalid index: its mediaType is another's");
    return { kind: "index", manifests: parseDescriptors(object["manifests"], "manifests") };
  }
  if (mediaType !== undefined && !manifestTypes.has(mediaType))
    throw refused("invalid manifest: its mediaType is another's");
  return {
    kind: "manifest",
    mediaType: mediaType ?? ociManifestType,
    config: parseDescriptor(object["config"], "config"),
    layers: parseDescriptors(object["layers"], "layers"),
  };
}

/** manifest.json of a docker-archive. @throws InvalidParameter malformed */
export function parseDockerManifest(bytes: Uint8Array): readonly DockerManifestEntry[] {
  const entries = parseArray(parseJson(bytes, "manifest.json"), "manifest.json");
  if (entries.length > maxItems) throw refused(`invalid manifest.json: more than ${maxItems} images`);
  return entries.map((entry, index) => {
    const what = `manifest.json[${index}]`;
    const object: JsonObject = parseObject(entry, what);
    const layers = optional(object["Layers"], `${what}.Layers`, parseStrings) ?? [];
    if (layers.length > maxItems) throw refused("max depth exceeded");
    const parent = optional(object["Parent"], `${what}.Parent`, parseString) ?? "";
    return {
      config: parseString(object["Config"], `${what}.Config`),
      repoTags: optional(object["RepoTags"], `${what}.RepoTags`, parseStrings) ?? [],
      layers,
      ...(parent === "" ? {} : { parent: parseDigest(parent) }),
    };
  });
}

/** Digests of a config's layers, strictly. */
export function parseDiffIds(value: unknown, what: string): readonly DiffId[] {
  const items = parseStrings(value, what);
  if (items.length > maxItems) throw refused("max depth exceeded");
  return items.map(parseDiffId);
}
