// A manifest that is being pushed: checked (one kind only, the type that it says it is), and what it refers to.
// Source: OCI image-spec 1.1, manifest.md and image-index.md; Docker's image manifest, schema 2.

import { type Digest, digestOf } from "../base/digest.ts";
import { messageOf } from "../base/errors.ts";
import { type ParsedDescriptor, type ParsedDocument, parseDocument } from "../spec/oci/parse.ts";
import {
  type JsonObject,
  optional,
  parseArray,
  parseJson,
  parseObject,
  parseString,
  parseStringMap,
} from "../spec/parse-json.ts";
import { RegistryError } from "./errors.ts";
import { parseBlobDigest } from "./names.ts";

/** A manifest or an index, with what it needs and what it is about. */
export interface ManifestDocument {
  readonly digest: Digest;
  readonly mediaType: string;
  readonly sizeBytes: number;
  readonly kind: "index" | "manifest";
  /** Must be in the repository: blobs, or manifests of an index. Without what is to be had elsewhere (foreign layers). */
  readonly needs: readonly { readonly digest: Digest; readonly sizeBytes: number }[];
  /** The manifest that this one is attached to; it need not exist. */
  readonly subject: Digest | undefined;
  readonly artifactType: string | undefined;
  readonly annotations: Readonly<Record<string, string>> | undefined;
}

const types = {
  manifest: ["application/vnd.oci.image.manifest.v1+json", "application/vnd.docker.distribution.manifest.v2+json"],
  index: ["application/vnd.oci.image.index.v1+json", "application/vnd.docker.distribution.manifest.list.v2+json"],
} as const;

const schema1 = /^application\/vnd\.docker\.distribution\.manifest\.v1\+(?:json|prettyjws)$/;
const foreignLayer = /\.foreign\.|\.nondistributable\./;

function refused(message: string, cause?: unknown): RegistryError {
  return new RegistryError("MANIFEST_INVALID", message, { cause });
}

function mediaTypeOf(kind: "index" | "manifest", own: string | undefined, contentType: string | undefined): string {
  const said = contentType?.split(";", 1)[0]?.trim().toLowerCase();
  if (own !== undefined && said !== undefined && said !== own && said !== "application/json")
    throw refused(`the manifest says that it is ${own}, its Content-Type ${said}`);
  const mediaType = own ?? (said === undefined || said === "application/json" ? types[kind][0] : said);
  if (!types[kind].some((known) => known === mediaType))
    throw refused(
      `${JSON.stringify(mediaType.slice(0, 100))} is no media type of an ${kind === "index" ? "index" : "image manifest"}`,
    );
  return mediaType;
}

function hasUrls(value: unknown): boolean {
  const { urls } = parseObject(value, "descriptor");
  return Array.isArray(urls) && urls.length > 0;
}

function needsOf(document: ParsedDocument, object: JsonObject): ManifestDocument["needs"] {
  const isElsewhere = (descriptor: ParsedDescriptor, raw: unknown): boolean =>
    hasUrls(raw) || foreignLayer.test(descriptor.mediaType);
  const list = (descriptors: readonly ParsedDescriptor[], raw: unknown, what: string): ParsedDescriptor[] => {
    const items = parseArray(raw, what);
    return descriptors.filter((descriptor, index) => !isElsewhere(descriptor, items[index]));
  };
  const all =
    document.kind === "index"
      ? list(document.manifests, object["manifests"], "manifests")
      : [document.config, ...list(document.layers, object["layers"], "layers")];
  return all.map(({ digest, size }) => ({ digest, sizeBytes: size }));
}

/**
 * @param contentType the request's header; application/json and nothing say nothing
 * @throws MANIFEST_INVALID no manifest, several kinds at once, or another type than it says
 */
export function parseManifestDocument(bytes: Uint8Array, contentType: string | undefined): ManifestDocument {
  if (schema1.test(contentType?.split(";", 1)[0]?.trim() ?? ""))
    throw refused("manifests of schema 1 are not supported: push with a client newer than 2017");
  try {
    const document = parseDocument(bytes);
    const object = parseObject(parseJson(bytes, "manifest"), "manifest");
    const own = optional(object["mediaType"], "manifest.mediaType", parseString);
    const subject = optional(object["subject"], "manifest.subject", parseObject);
    const configType = document.kind === "manifest" ? document.config.mediaType : undefined;
    return {
      digest: digestOf(bytes),
      mediaType: mediaTypeOf(document.kind, own, contentType),
      sizeBytes: bytes.length,
      kind: document.kind,
      needs: needsOf(document, object),
      subject:
        subject === undefined ? undefined : parseBlobDigest(parseString(subject["digest"], "manifest.subject.digest")),
      artifactType: optional(object["artifactType"], "manifest.artifactType", parseString) || configType,
      annotations: optional(object["annotations"], "manifest.annotations", parseStringMap),
    };
  } catch (error) {
    if (error instanceof RegistryError) throw error;
    throw refused(messageOf(error), error);
  }
}

/** Whether an Accept header takes this type; a missing one takes all. */
export function accepts(header: string | undefined, mediaType: string): boolean {
  if (header === undefined || header.trim() === "") return true;
  return header.split(",").some((item) => {
    const [type = "", ...parameters] = item.split(";").map((part) => part.trim().toLowerCase());
    if (parameters.some((parameter) => /^q=0(?:\.0*)?$/.test(parameter))) return false;
    return type === mediaType || type === "*/*" || type === "application/*";
  });
}
