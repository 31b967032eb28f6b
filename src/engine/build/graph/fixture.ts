// What tests of the graph share: options and images with values that mean nothing, and what is looked at of a result.

import { digestOf } from "../../../base/digest.ts";
import type { ImageConfig } from "../../../spec/docker/image.ts";
import type { Platform } from "../../../spec/oci/image.ts";
import { parseDockerfile } from "../dockerfile/index.ts";
import { imageKey, type ImageKey, type KnownImage, type Lowered, lowerDockerfile, type LowerOptions } from "./index.ts";
import { noLimits } from "./limits.ts";

export const amd64: Platform = { os: "linux", architecture: "amd64" };
export const arm64: Platform = { os: "linux", architecture: "arm64" };

export function lowerOptions(changes: Partial<LowerOptions> = {}): LowerOptions {
  return {
    target: "",
    platforms: [],
    buildPlatform: amd64,
    buildArgs: new Map(),
    labels: {},
    noCache: false,
    networkMode: "default",
    hostname: "",
    limits: noLimits,
    contexts: new Map(),
    mainContext: { kind: "local", name: "context" },
    ignorePatterns: [],
    sourceDateEpoch: undefined,
    cacheMountNamespace: "",
    ...changes,
  };
}

/** An image with one layer, as it would be known. */
export function knownImage(
  name: string,
  platform: Platform,
  config: ImageConfig = { Env: ["PATH=/bin"], Cmd: ["sh"] },
): readonly [ImageKey, KnownImage] {
  const reference = `docker.io/library/${name}`;
  const known: KnownImage = {
    reference,
    imageId: digestOf(`${name} ${platform.architecture}`),
    config: {
      architecture: platform.architecture,
      os: platform.os,
      config,
      history: [{ created: "2026-01-01T00:00:00Z", comment: "Imported from -" }],
      rootfs: { type: "layers", diff_ids: [digestOf(name)] },
    },
  };
  return [imageKey(reference, platform), known];
}

/** Lowers with the image bb:1 known for amd64 and arm64. */
export function lowerText(
  text: string,
  changes: Partial<LowerOptions> = {},
  images: readonly (readonly [ImageKey, KnownImage])[] = [],
): Lowered {
  const known = new Map([knownImage("bb:1", amd64), knownImage("bb:1", arm64), ...images]);
  return lowerDockerfile(parseDockerfile(text, "Dockerfile"), lowerOptions(changes), known);
}

export function namesOf(lowered: Lowered): readonly string[] {
  return [...lowered.graph.vertices.values()].map(({ name }) => name);
}

export function historyOf(lowered: Lowered): readonly string[] {
  return (lowered.images[0]?.history ?? []).map(({ createdBy, vertex }) =>
    vertex === undefined ? createdBy : `${createdBy} *`,
  );
}
