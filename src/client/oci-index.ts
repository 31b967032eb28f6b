// index.json of an OCI layout: which manifests it has under which tags. Source: OCI image-spec 1.1, image-layout.md; BuildKit, which
// names caches and images in it so.

import { mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { errnoOf } from "../base/errors.ts";
import type { Descriptor } from "../spec/oci/image.ts";

const indexType = "application/vnd.oci.image.index.v1+json";
const tagKey = "org.opencontainers.image.ref.name";

interface LayoutIndex {
  readonly schemaVersion: 2;
  readonly mediaType?: string;
  readonly manifests: readonly Descriptor[];
}

/** @returns undefined when the layout has no such tag, or is none; of an only manifest without a tag, that one for "latest" */
export function findInLayout(directory: string, tag: string): Descriptor | undefined {
  const manifests = readIndex(directory)?.manifests ?? [];
  const tagged = manifests.find(({ annotations }) => annotations?.[tagKey] === tag);
  const [only] = manifests;
  if (tagged !== undefined || manifests.length !== 1 || tag !== "latest") return tagged;
  return only?.annotations?.[tagKey] === undefined ? only : undefined;
}

/** Puts a manifest whose blobs are there under its tag; another one that had it loses it. */
export function putInLayout(
  directory: string,
  descriptor: Descriptor,
  annotations: Readonly<Record<string, string>>,
): void {
  const before = readIndex(directory)?.manifests ?? [];
  const name = (of: Descriptor["annotations"]): string =>
    JSON.stringify([of?.[tagKey], of?.["io.containerd.image.name"]]);
  const own: Descriptor = { ...descriptor, annotations: { ...descriptor.annotations, ...annotations } };
  const others = before.filter((other) => name(other.annotations) !== name(own.annotations));
  const index: LayoutIndex = { schemaVersion: 2, mediaType: indexType, manifests: [...others, own] };
  mkdirSync(directory, { recursive: true });
  replaceFile(join(directory, "oci-layout"), '{"imageLayoutVersion":"1.0.0"}');
  replaceFile(join(directory, "index.json"), JSON.stringify(index));
}

function readIndex(directory: string): LayoutIndex | undefined {
  let text: string;
  try {
    text = readFileSync(join(directory, "index.json"), "utf8");
  } catch (error) {
    if (["ENOENT", "ENOTDIR"].includes(errnoOf(error) ?? "")) return undefined;
    throw error;
  }
  const index = JSON.parse(text) as Partial<LayoutIndex> | null;
  if (!Array.isArray(index?.manifests)) throw new Error(`${directory}/index.json has no manifests`);
  return index as LayoutIndex;
}

function replaceFile(path: string, text: string): void {
  writeFileSync(`${path}.new`, text);
  renameSync(`${path}.new`, path);
}

/** Of a manifest that has only a tag. */
export function tagAnnotation(tag: string): Readonly<Record<string, string>> {
  return { [tagKey]: tag };
}

/** Of an image "host/name:tag". */
export function imageAnnotations(name: string): Readonly<Record<string, string>> {
  const colon = name.lastIndexOf(":");
  const tag = colon > name.lastIndexOf("/") ? name.slice(colon + 1) : "latest";
  return { "io.containerd.image.name": name, [tagKey]: tag };
}
