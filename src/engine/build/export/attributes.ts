// Attributes of outputs: text → typed, or refused by name. Nothing is ignored but what has no meaning for this image store
// (`ignored`). Sources: BuildKit, README "Output"; its exporters' keys.

import { EngineError } from "../../../base/errors.ts";
import { type Named, parseNamed, withDefaultTag } from "../../../base/reference.ts";
import type { LayerEncoding } from "../../images/index.ts";
import { type Annotation, parseAnnotation } from "./annotations.ts";
import type { OutputRequest } from "./index.ts";

/** What image, docker and oci have in common. */
export interface ImageForm {
  readonly names: readonly Named[];
  readonly encoding: LayerEncoding;
  /** undefined: the exporter's own choice. */
  readonly ociTypes: boolean | undefined;
  readonly ociArtifact: boolean;
  readonly annotations: readonly Annotation[];
  readonly nameCanonical: boolean;
  /** Seconds since 1970; must be the build's. */
  readonly epoch: number | undefined;
  /** Steps of a build with an epoch leave no later time in their layers: nothing is to be rewritten, but there must be an epoch. */
  readonly rewriteTimestamp: boolean;
}

export type ParsedOutput =
  | { readonly type: "cacheonly"; readonly index: number }
  | {
      readonly type: "image";
      readonly index: number;
      readonly form: ImageForm;
      readonly push: boolean;
      readonly pushByDigest: boolean;
      readonly store: boolean;
      /** Something was asked for that only a manifest can say. */
      readonly wantsManifest: boolean;
    }
  | { readonly type: "docker" | "oci"; readonly index: number; readonly form: ImageForm; readonly tar: boolean }
  | {
      readonly type: "local" | "tar";
      readonly index: number;
      /** undefined: for more than one platform. */
      readonly platformSplit: boolean | undefined;
      readonly attestationPrefix: string;
      readonly epoch: number | undefined;
    };

/** Says nothing of what is made here: unpacked layers are all that there is, and there is one store. */
const ignored = new Set(["unpack", "load", "buildinfo", "buildinfo-attrs", "unsafe-internal-store-allow-incomplete"]);
const compressions = ["gzip", "zstd", "uncompressed"] as const;

/** Reads attributes one by one; what nobody read is refused. */
class Attributes {
  readonly #type: string;
  readonly #left: Map<string, string>;

  constructor(output: OutputRequest) {
    this.#type = output.type;
    this.#left = new Map(Object.entries(output.attributes));
  }

  has(key: string): boolean {
    return this.#left.has(key);
  }

  text(key: string): string | undefined {
    const value = this.#left.get(key);
    this.#left.delete(key);
    return value;
  }

  /** As Go reads it; an empty one is true, as BuildKit has it. */
  flag(key: string): boolean | undefined {
    const value = this.text(key);
    if (value === undefined) return undefined;
    if (value === "" || /^(1|t|T|TRUE|true|True)$/.test(value)) return true;
    if (/^(0|f|F|FALSE|false|False)$/.test(value)) return false;
    throw refused(`non-bool value ${JSON.stringify(value)} specified for ${key}`);
  }

  integer(key: string): number | undefined {
    const value = this.text(key);
    if (value === undefined) return undefined;
    if (!/^-?\d{1,15}$/.test(value)) throw refused(`non-integer value ${JSON.stringify(value)} specified for ${key}`);
    return Number(value);
  }

  annotations(): readonly Annotation[] {
    const found: Annotation[] = [];
    for (const [key, value] of this.#left) {
      const annotation = parseAnnotation(key, value);
      if (annotation === undefined) continue;
      found.push(annotation);
      this.#left.delete(key);
    }
    return found;
  }

  /** @throws InvalidParameter the first that is left */
  end(): void {
    for (const key of this.#left.keys())
      if (!ignored.has(key)) throw refused(`unknown attribute ${JSON.stringify(key)} of exporter ${this.#type}`);
  }
}

function refused(message: string): EngineError {
  return new EngineError("InvalidParameter", message);
}

/** @throws InvalidParameter an unknown type or attribute, by name; a value that is none */
export function parseOutput(output: OutputRequest): ParsedOutput {
  const attributes = new Attributes(output);
  const parsed = parseType(output, attributes);
  attributes.end();
  return parsed;
}

function parseType(output: OutputRequest, attributes: Attributes): ParsedOutput {
  const { type, index } = output;
  switch (type) {
    case "cacheonly":
      return { type, index };
    case "image":
    case "moby":
    case "registry":
      return parseImage(attributes, type === "registry", index);
    case "docker":
    case "oci": {
      const form = parseForm(attributes);
      return { type, index, form, tar: attributes.flag("tar") ?? true };
    }
    case "local":
    case "tar": {
      const mode = attributes.text("mode");
      if (mode !== undefined && mode !== "copy")
        throw refused(`mode ${JSON.stringify(mode)} of exporter ${type} is not supported; use mode=copy`);
      return {
        type,
        index,
        platformSplit: attributes.flag("platform-split"),
        attestationPrefix: attributes.text("attestation-prefix") ?? "",
        epoch: attributes.integer("source-date-epoch"),
      };
    }
    default:
      throw refused(`exporter ${JSON.stringify(String(type))} could not be found`);
  }
}

function parseImage(attributes: Attributes, registry: boolean, index: number): ParsedOutput {
  const asked = ["compression", "compression-level", "force-compression", "oci-mediatypes", "oci-artifact"].filter(
    (key) => attributes.has(key),
  );
  const form = parseForm(attributes);
  const pushByDigest = attributes.flag("push-by-digest") ?? false;
  const push = (attributes.flag("push") ?? registry) || pushByDigest;
  const store = attributes.flag("store") ?? true;
  if (attributes.flag("registry.insecure") === true)
    throw refused("registry.insecure: name the registry among the daemon's insecure-registries instead");
  if (attributes.flag("prefer-nondist-layers") === true)
    throw refused("prefer-nondist-layers is not supported: this image store has no layers that may not be distributed");
  if (push && form.names.length === 0)
    throw refused("can't push an image without a name: tag is needed when pushing to registry");
  if (pushByDigest && form.names.some(({ tag }) => tag !== undefined && tag !== "latest"))
    throw refused("can't push tagged ref by digest");
  const wantsManifest = push || asked.length > 0 || form.annotations.length > 0;
  return { type: "image", index, form, push, pushByDigest, store, wantsManifest };
}

function parseForm(attributes: Attributes): ImageForm {
  const encoding = parseEncoding(attributes);
  // A prefix for images that nobody names: they need none here, their id is enough.
  attributes.text("dangling-name-prefix");
  const rewriteTimestamp = attributes.flag("rewrite-timestamp") ?? false;
  const epoch = attributes.integer("source-date-epoch");
  const form: ImageForm = {
    names: parseNames(attributes.text("name") ?? ""),
    encoding,
    ociTypes: attributes.flag("oci-mediatypes"),
    ociArtifact: attributes.flag("oci-artifact") ?? false,
    annotations: attributes.annotations(),
    nameCanonical: attributes.flag("name-canonical") ?? false,
    epoch,
    rewriteTimestamp,
  };
  if (form.ociTypes === false && encoding.compression === "zstd")
    throw refused("compression=zstd needs oci-mediatypes=true");
  if (form.ociTypes === false && form.annotations.length > 0) throw refused("annotations need oci-mediatypes=true");
  return form;
}

/** A list of names, as `-t a -t b` makes it. @throws InvalidParameter with dockerd's text */
function parseNames(text: string): readonly Named[] {
  const parts = text.split(",").filter((part) => part !== "");
  return parts.map((part) => {
    const named = withDefaultTag(parseNamed(part));
    if (named.digest !== undefined) throw refused(`cannot give an image the name ${part}: it has a digest`);
    return named;
  });
}

function parseEncoding(attributes: Attributes): LayerEncoding {
  const name = attributes.text("compression");
  const level = attributes.integer("compression-level");
  const force = attributes.flag("force-compression") ?? false;
  const compression = compressions.find((item) => item === name);
  if (name === "estargz") throw refused("compression=estargz is not supported; use gzip, zstd or uncompressed");
  if (name !== undefined && compression === undefined) throw refused(`unsupported compression type ${name}`);
  const most = compression === "zstd" ? 22 : 9;
  if (level !== undefined && (level < 0 || level > most))
    throw refused(`compression-level ${level} is out of range: 0 to ${most} for ${name ?? "gzip"}`);
  return { compression, level, force };
}
