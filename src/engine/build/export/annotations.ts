// Annotations that a build puts on manifests, indexes and their descriptors: `annotation[-LEVEL][[PLATFORM]].KEY=VALUE`.
// Source: BuildKit, docs/annotations.md; texts of refusals are BuildKit's.

import { EngineError } from "../../../base/errors.ts";
import type { Platform } from "../../../spec/oci/image.ts";
import { parsePlatform, renderPlatform } from "../../../spec/oci/platform.ts";

const levels = ["index", "index-descriptor", "manifest", "manifest-descriptor"] as const;
/** What an annotation is put on. */
export type AnnotationLevel = (typeof levels)[number];

export interface Annotation {
  readonly level: AnnotationLevel;
  /** "linux/amd64"; undefined for every platform. */
  readonly platform: string | undefined;
  readonly key: string;
  readonly value: string;
}

const form = /^annotation(?:-([a-z-]+))?(?:\[([A-Za-z0-9_./-]+)\])?\.(\S+)$/;

/** @returns undefined for an attribute that is no annotation. @throws InvalidParameter a level or platform that is none */
export function parseAnnotation(name: string, value: string): Annotation | undefined {
  if (!name.startsWith("annotation")) return undefined;
  const match = form.exec(name);
  if (match === null) return undefined;
  const [, level = "manifest", platform, key = ""] = match;
  const known = levels.find((item) => item === level);
  if (known === undefined) throw new EngineError("InvalidParameter", `unrecognized annotation type ${level}`);
  return {
    level: known,
    platform: platform === undefined ? undefined : renderPlatform(parsePlatform(platform)),
    key,
    value,
  };
}

/** Those of one level for one platform, in the order of their keys; undefined for none. */
export function annotationsFor(
  annotations: readonly Annotation[],
  level: AnnotationLevel,
  platform: Platform | undefined,
): Readonly<Record<string, string>> | undefined {
  const own = platform === undefined ? undefined : renderPlatform(platform);
  const chosen = annotations.filter((item) => item.level === level && (item.platform ?? own) === own);
  // Those that name the platform count more.
  chosen.sort((a, b) => Number(a.platform !== undefined) - Number(b.platform !== undefined));
  const found = Object.fromEntries(chosen.map(({ key, value }) => [key, value]));
  return Object.keys(found).length === 0 ? undefined : found;
}
