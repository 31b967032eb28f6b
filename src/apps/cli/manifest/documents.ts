// Manifests as `manifest` commands show and keep them: members in Go's order, so that what is printed, kept and pushed is byte
// for byte docker's, with the same digests. Pure. Source: the docker CLI 28, cli/manifest/types; distribution spec, manifest list.

import { digestOf } from "../../../base/digest.ts";
import { CliError } from "../command.ts";

type Members = Readonly<Record<string, unknown>>;

/** A platform in a manifest list. */
export interface ManifestPlatform {
  readonly architecture: string;
  readonly os: string;
  readonly "os.version"?: string;
  readonly "os.features"?: readonly string[];
  readonly variant?: string;
}

interface Descriptor {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
  readonly platform?: ManifestPlatform;
}

/** An image of a manifest list, as in ~/.docker/manifests. `Raw` is base64 of the manifest's bytes. */
export interface ImageManifest {
  readonly Ref: string;
  readonly Descriptor: Descriptor;
  readonly Raw: string;
  readonly SchemaV2Manifest?: Members;
  readonly OCIManifest?: Members;
}

const docker2 = "application/vnd.docker.distribution.manifest.v2+json";
const listType = "application/vnd.docker.distribution.manifest.list.v2+json";
const ociManifest = "application/vnd.oci.image.manifest.v1+json";
const ociIndex = "application/vnd.oci.image.index.v1+json";

export function isListType(mediaType: string): boolean {
  return mediaType === listType || mediaType === ociIndex;
}

function isMembers(value: unknown): value is Members {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** The named members that are there, in this order. */
function pick(value: unknown, names: readonly string[]): Members {
  if (!isMembers(value)) throw new CliError("the registry sent a manifest that is none");
  return Object.fromEntries(names.filter((name) => value[name] !== undefined).map((name) => [name, value[name]]));
}

function orderPlatform(value: unknown): ManifestPlatform {
  const members = pick(value, ["architecture", "os", "os.version", "os.features", "variant"]);
  return { architecture: "", os: "", ...members };
}

function orderDescriptor(value: unknown, names: readonly string[]): Members {
  const members = { ...pick(value, names) };
  if (members["platform"] !== undefined) members["platform"] = orderPlatform(members["platform"]);
  return members;
}

const docker2Descriptor = ["mediaType", "size", "digest", "urls", "annotations", "platform"];
const ociDescriptor = ["mediaType", "digest", "size", "urls", "annotations", "data", "platform", "artifactType"];

function orderManifest(document: Members, isOci: boolean): Members {
  const names = isOci
    ? ["schemaVersion", "mediaType", "artifactType", "config", "layers", "subject", "annotations"]
    : ["schemaVersion", "mediaType", "config", "layers"];
  const descriptor = isOci ? ociDescriptor : docker2Descriptor;
  const members = { ...pick(document, names) };
  for (const name of ["config", "subject"])
    if (members[name] !== undefined) members[name] = orderDescriptor(members[name], descriptor);
  const layers = Array.isArray(members["layers"]) ? (members["layers"] as readonly unknown[]) : [];
  members["layers"] = layers.map((layer) => orderDescriptor(layer, descriptor));
  return members;
}

/** Go's JSON: <, > and & are escaped. */
export function renderGoJson(value: unknown, indent: string): string {
  return JSON.stringify(value, undefined, indent).replace(/[<>&\u2028\u2029]/g, (c) => {
    return `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`;
  });
}

function parseObject(bytes: Uint8Array, what: string): Members {
  try {
    const value: unknown = JSON.parse(Buffer.from(bytes).toString("utf8"));
    if (isMembers(value)) return value;
  } catch {
    // Said below.
  }
  throw new CliError(`${what} is not a JSON object`);
}

/** The digest of the configuration that a manifest names. @throws CliError it names none */
export function configDigestOf(bytes: Uint8Array): string {
  const { config } = parseObject(bytes, "the manifest");
  if (isMembers(config) && typeof config["digest"] === "string") return config["digest"];
  throw new CliError("the manifest has no config");
}

/** The platform in an image's configuration. */
export function platformOfConfig(bytes: Uint8Array): ManifestPlatform {
  return orderPlatform(parseObject(bytes, "the image's configuration"));
}

/** An image manifest as it is kept. @throws CliError its media type is none of an image */
export function renderImageManifest(
  ref: string,
  manifest: { readonly bytes: Buffer; readonly mediaType: string },
  platform: ManifestPlatform | undefined,
): ImageManifest {
  const { bytes, mediaType } = manifest;
  if (mediaType !== docker2 && mediaType !== ociManifest)
    throw new CliError(`unsupported manifest format: ${mediaType} of ${ref}`);
  const document = orderManifest(parseObject(bytes, "the manifest"), mediaType === ociManifest);
  return {
    Ref: ref,
    Descriptor: {
      mediaType,
      digest: digestOf(bytes),
      size: bytes.length,
      ...(platform === undefined ? {} : { platform }),
    },
    Raw: bytes.toString("base64"),
    ...(mediaType === ociManifest ? { OCIManifest: document } : { SchemaV2Manifest: document }),
  };
}

/** The entries of a manifest list or an index. */
export function entriesOfList(
  bytes: Uint8Array,
): readonly { digest: string; platform: ManifestPlatform | undefined }[] {
  const { manifests } = parseObject(bytes, "the manifest list");
  if (!Array.isArray(manifests)) throw new CliError("the manifest list has no manifests");
  return (manifests as readonly unknown[]).map((entry) => {
    const { digest, platform } = pick(entry, ["digest", "platform"]);
    return { digest: String(digest), platform: platform === undefined ? undefined : orderPlatform(platform) };
  });
}

/** A remote list as it is shown: its entries without annotations. */
export function renderRemoteList(bytes: Uint8Array, mediaType: string): string {
  const { manifests } = parseObject(bytes, "the manifest list");
  const entries = Array.isArray(manifests) ? (manifests as readonly unknown[]) : [];
  const names = ["mediaType", "size", "digest", "platform"];
  const shown = { schemaVersion: 2, mediaType, manifests: entries.map((entry) => orderDescriptor(entry, names)) };
  return renderGoJson(shown, "   ");
}

/** The manifest list of kept images: what is shown, and what is pushed. @throws CliError an image has no platform */
export function renderList(images: readonly ImageManifest[]): { readonly text: string; readonly mediaType: string } {
  const manifests = images.map(({ Ref, Descriptor: { mediaType, size, digest, platform } }) => {
    if (platform === undefined || platform.architecture === "" || platform.os === "")
      throw new CliError(`manifest ${Ref} must have an OS and Architecture to be pushed to a registry`);
    return { mediaType, size, digest, platform: orderPlatform(platform) };
  });
  return { text: renderGoJson({ schemaVersion: 2, mediaType: listType, manifests }, "   "), mediaType: listType };
}

/** Digests and sizes of what an image consists of: configuration, then layers that are in registries. */
export function blobsOf(image: ImageManifest): readonly { readonly digest: string; readonly size: number }[] {
  const document = image.OCIManifest ?? image.SchemaV2Manifest ?? {};
  const layers = Array.isArray(document["layers"]) ? (document["layers"] as readonly unknown[]) : [];
  return [document["config"], ...layers]
    .filter(isMembers)
    .flatMap(({ digest, size, urls }) => (urls === undefined ? [{ digest: String(digest), size: Number(size) }] : []));
}

const platforms: Readonly<Record<string, string>> = {
  darwin: "386 amd64 arm arm64",
  dragonfly: "amd64",
  freebsd: "386 amd64 arm",
  linux: "386 amd64 arm arm64 loong64 mips64 mips64le ppc64le riscv64 s390x",
  netbsd: "386 amd64 arm",
  openbsd: "386 amd64 arm",
  plan9: "386 amd64",
  solaris: "amd64",
  windows: "386 amd64",
};

/** What `annotate` sets; "" and [] leave a member as it is. */
export interface Annotation {
  readonly os: string;
  readonly architecture: string;
  readonly variant: string;
  readonly osVersion: string;
  readonly osFeatures: readonly string[];
}

/** The image with another platform. @throws CliError no system runs on this architecture */
export function annotate(image: ImageManifest, set: Annotation): ImageManifest {
  const { platform = { architecture: "", os: "" }, ...descriptor } = image.Descriptor;
  const features = [...new Set([...(platform["os.features"] ?? []), ...set.osFeatures])];
  const changed: ManifestPlatform = {
    ...platform,
    ...(set.architecture === "" ? {} : { architecture: set.architecture }),
    ...(set.os === "" ? {} : { os: set.os }),
    ...(set.osVersion === "" ? {} : { "os.version": set.osVersion }),
    ...(features.length === 0 ? {} : { "os.features": features }),
    ...(set.variant === "" ? {} : { variant: set.variant }),
  };
  if (platforms[changed.os]?.split(" ").includes(changed.architecture) !== true)
    throw new CliError(`manifest entry for image has unsupported os/arch combination: ${set.os}/${set.architecture}`);
  return { ...image, Descriptor: { ...descriptor, platform: orderPlatform(changed) } };
}
