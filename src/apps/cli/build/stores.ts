// OCI layouts of this machine that a build reads and writes: caches of type local, contexts oci-layout://, outputs that are no tar.
// Each is a content store for the daemon; what a tag means in one is found here before, and written here afterwards.

import { mkdirSync } from "node:fs";
import { resolve } from "node:path";
import { findInLayout, imageAnnotations, putInLayout, tagAnnotation } from "../../../client/oci-index.ts";
import type { Descriptor } from "../../../spec/oci/image.ts";
import { CliError } from "../command.ts";
import type { BuildOptions, CacheOption } from "./options.ts";

interface CacheEntry {
  readonly Type: string;
  readonly Attrs: Readonly<Record<string, string>>;
}

interface BuildStores {
  /** Directories by the ids under which the daemon asks for them. Source: BuildKit's client. */
  readonly stores: ReadonlyMap<string, string>;
  /** Of the frontend: named contexts. */
  readonly attributes: Readonly<Record<string, string>>;
  readonly imports: readonly CacheEntry[];
  readonly exports: readonly CacheEntry[];
  /** Caches that are not there, as lines for the user. */
  readonly warnings: readonly string[];
  /** Names what the build wrote. @param response of the exporters */
  finish(response: ReadonlyMap<string, string>): void;
}

const latest = "latest";

/** @throws CliError a layout does not have what is asked for, or cannot be made */
export function openStores(options: BuildOptions): BuildStores {
  const stores = new Map<string, string>();
  const attributes: Record<string, string> = {};
  for (const [name, { path, tag, digest = digestIn(path, tag) }] of options.layouts) {
    // The reference has the store's id in the place of a name.
    const id = `layout${stores.size}`;
    stores.set(`oci:${id}`, resolve(path));
    attributes[`context:${name}`] = `oci-layout://${id}:${tag}@${digest}`;
  }
  const warnings: string[] = [];
  const imports = options.cacheFrom.flatMap((cache): readonly CacheEntry[] => {
    const { type, attributes: Attrs, directory } = cache;
    if (directory === undefined) return [{ Type: type, Attrs }];
    const src = resolve(directory);
    const digest = Attrs["digest"] ?? findInLayout(src, Attrs["tag"] ?? latest)?.digest;
    if (digest === undefined) {
      warnings.push(`WARNING: local cache import at ${directory} not found`);
      return [];
    }
    stores.set(`local:${src}`, src);
    return [{ Type: type, Attrs: { ...Attrs, src, digest } }];
  });
  const exports = options.cacheTo.map((cache): CacheEntry => {
    const { type, attributes: Attrs, directory } = cache;
    if (directory === undefined) return { Type: type, Attrs };
    const dest = makeDirectory(directory);
    stores.set(`local:${dest}`, dest);
    return { Type: type, Attrs: { ...Attrs, dest } };
  });
  const [layout, another] = options.outputs.filter(isLayout);
  if (another !== undefined) throw new CliError("only one output can have tar=false");
  const output = layout?.destination === undefined ? undefined : makeDirectory(layout.destination);
  if (output !== undefined) stores.set("export", output);
  return {
    stores,
    attributes,
    imports,
    exports,
    warnings,
    finish(response) {
      const cache = response.get("cache.manifest");
      if (cache !== undefined)
        for (const { directory, attributes: Attrs } of options.cacheTo.filter(isLocal))
          putInLayout(resolve(directory), JSON.parse(cache) as Descriptor, tagAnnotation(Attrs["tag"] ?? latest));
      const image = response.get("containerimage.descriptor");
      if (output === undefined || image === undefined) return;
      const descriptor = JSON.parse(Buffer.from(image, "base64").toString()) as Descriptor;
      const names = (response.get("image.name") ?? layout?.attributes["name"] ?? "")
        .split(",")
        .filter((name) => name !== "");
      for (const name of names) putInLayout(output, descriptor, imageAnnotations(name));
      if (names.length === 0) putInLayout(output, descriptor, tagAnnotation(latest));
    },
  };
}

/** Written blob by blob into a directory. */
export function isLayout({ type, attributes }: BuildOptions["outputs"][number]): boolean {
  return (type === "oci" || type === "docker") && ["false", "0"].includes(attributes["tar"] ?? "");
}

function isLocal(cache: CacheOption): cache is CacheOption & { readonly directory: string } {
  return cache.directory !== undefined;
}

function digestIn(path: string, tag: string): string {
  const found = findInLayout(resolve(path), tag);
  if (found === undefined) throw new CliError(`OCI layout ${path} has no image ${JSON.stringify(tag)}`);
  return found.digest;
}

function makeDirectory(path: string): string {
  try {
    mkdirSync(path, { recursive: true });
  } catch (error) {
    throw new CliError((error as Error).message);
  }
  return resolve(path);
}
