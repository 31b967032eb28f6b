// What --cache-from and --cache-to say, checked before anything is built. Names are BuildKit's; `mounts` is ours.

import { EngineError } from "../../../base/errors.ts";
import { type Named, parseNamed, withDefaultTag } from "../../../base/reference.ts";
import type { LayerCompression } from "../../images/index.ts";
import type { CacheRequest } from "./index.ts";

/** Where a cache comes from. */
export type CacheImport =
  | { readonly type: "registry"; readonly named: Named; readonly fillMounts: boolean }
  | { readonly type: "local"; readonly store: string; readonly digest: string; readonly fillMounts: boolean };

/** Where a cache goes to. */
export type CacheExport =
  | { readonly type: "inline" }
  | {
      readonly type: "registry" | "local";
      /** undefined for local. */
      readonly named: Named | undefined;
      /** The client's content store; "" for registry. */
      readonly store: string;
      readonly mode: "min" | "max";
      /** A manifest; otherwise an index, as older registries' caches are. */
      readonly asManifest: boolean;
      readonly compression: LayerCompression | undefined;
      readonly compressionLevel: number | undefined;
      readonly forceCompression: boolean;
      readonly ignoreError: boolean;
      readonly withMounts: boolean;
    };

const elsewhere = new Set(["gha", "s3", "azblob"]);
const importAttributes = {
  registry: ["ref", "mounts", "registry.insecure"],
  local: ["src", "digest", "tag", "mounts"],
  inline: [],
} as const;
const common = [
  "mode",
  "image-manifest",
  "oci-mediatypes",
  "compression",
  "compression-level",
  "force-compression",
  "ignore-error",
  "mounts",
];
const exportAttributes = {
  registry: ["ref", "registry.insecure", ...common],
  local: ["dest", "tag", ...common],
  inline: ["mode", "ignore-error"],
} as const;

function invalid(message: string): EngineError {
  return new EngineError("InvalidParameter", message);
}

class Attributes {
  readonly #type: CacheRequest["type"];
  readonly #values: CacheRequest["attributes"];

  constructor({ type, attributes }: CacheRequest, known: Readonly<Record<CacheRequest["type"], readonly string[]>>) {
    if (elsewhere.has(type))
      throw new EngineError(
        "NotImplemented",
        `cache type ${type} is not supported; use type=registry,ref=… or type=local (dest=… to export, src=… to import)`,
      );
    if (!Object.hasOwn(known, type)) throw invalid(`unknown cache type: ${type}`);
    for (const name of Object.keys(attributes))
      if (!known[type].includes(name)) throw invalid(`unknown attribute ${name} of cache type ${type}`);
    this.#type = type;
    this.#values = attributes;
    if (this.flag("registry.insecure", false))
      throw new EngineError(
        "NotImplemented",
        "registry.insecure is not supported for caches; name the registry in insecure-registries of the daemon",
      );
  }

  text(name: string): string | undefined {
    const value = this.#values[name];
    return value === "" ? undefined : value;
  }

  required(name: string): string {
    const value = this.text(name);
    if (value === undefined) throw invalid(`cache type ${this.#type} needs ${name}=…`);
    return value;
  }

  flag(name: string, otherwise: boolean): boolean {
    const value = this.text(name);
    if (value === undefined) return otherwise;
    if (/^(?:1|t|true)$/i.test(value)) return true;
    if (/^(?:0|f|false)$/i.test(value)) return false;
    throw invalid(`failed to parse ${name}: ${value} is neither true nor false`);
  }

  oneOf<T extends string>(name: string, values: readonly T[]): T | undefined {
    const value = this.text(name);
    if (value === undefined) return undefined;
    const found = values.find((known) => known === value);
    if (found === undefined) throw invalid(`invalid ${name} ${value}: one of ${values.join(", ")} is possible`);
    return found;
  }

  get named(): Named {
    return withDefaultTag(parseNamed(this.required("ref")));
  }
}

/** @returns undefined for what is no source: inline caches are in images, which type=registry names */
export function parseCacheImport(request: CacheRequest): CacheImport | undefined {
  const attributes = new Attributes(request, importAttributes);
  if (request.type === "inline") return undefined;
  const fillMounts = attributes.flag("mounts", true);
  if (request.type === "registry") return { type: "registry", named: attributes.named, fillMounts };
  const store = `local:${attributes.required("src")}`;
  return { type: "local", store, digest: attributes.required("digest"), fillMounts };
}

export function parseCacheExport(request: CacheRequest): CacheExport {
  const attributes = new Attributes(request, exportAttributes);
  const mode = attributes.oneOf("mode", ["min", "max"]) ?? "min";
  const ignoreError = attributes.flag("ignore-error", false);
  if (request.type === "inline") {
    if (mode === "max") throw invalid("cache type inline has mode=min only; use type=registry for mode=max");
    return { type: "inline" };
  }
  const asManifest = attributes.flag("image-manifest", true);
  if (!attributes.flag("oci-mediatypes", true))
    throw new EngineError("NotImplemented", "oci-mediatypes=false is not supported for caches");
  const level = attributes.text("compression-level");
  if (level !== undefined && !/^\d{1,2}$/.test(level)) throw invalid(`invalid compression-level ${level}`);
  return {
    type: request.type,
    named: request.type === "registry" ? attributes.named : undefined,
    store: request.type === "local" ? `local:${attributes.required("dest")}` : "",
    mode,
    asManifest,
    compression: attributes.oneOf("compression", ["gzip", "zstd", "uncompressed"]),
    compressionLevel: level === undefined ? undefined : Number(level),
    forceCompression: attributes.flag("force-compression", false),
    ignoreError,
    withMounts: attributes.flag("mounts", false),
  };
}
