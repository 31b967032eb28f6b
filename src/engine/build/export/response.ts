// What a build's exporters answer: BuildKit's keys of the exporter response. Source: BuildKit, exporter/containerimage/exptypes.

import type { Digest } from "../../../base/digest.ts";
import { type Named, renderReference } from "../../../base/reference.ts";
import { renderGoJson } from "./go-json.ts";
import { type Document, renderPlatformObject } from "./manifests.ts";
import type { Platform } from "../../../spec/oci/image.ts";

export type Response = Readonly<Record<string, string>>;

export function nameResponse(names: readonly Named[]): Response {
  return names.length === 0 ? {} : { "image.name": names.map(renderReference).join(",") };
}

/** Of an image in the store: its id stands for its digest. */
export function storeResponse(id: Digest, names: readonly Named[]): Response {
  return { "containerimage.config.digest": id, "containerimage.digest": id, ...nameResponse(names) };
}

/** @param configDigest undefined for an index */
export function manifestResponse(
  root: Document,
  options: {
    readonly configDigest: Digest | undefined;
    readonly platform: Platform | undefined;
    readonly created: string | undefined;
    readonly names: readonly Named[];
  },
): Response {
  const { configDigest, platform, created, names } = options;
  const descriptor = {
    mediaType: root.mediaType,
    digest: root.digest,
    size: root.bytes.length,
    ...(created === undefined ? {} : { annotations: { "org.opencontainers.image.created": created } }),
    ...(platform === undefined ? {} : { platform: renderPlatformObject(platform) }),
  };
  return {
    ...(configDigest === undefined ? {} : { "containerimage.config.digest": configDigest }),
    "containerimage.descriptor": Buffer.from(renderGoJson(descriptor)).toString("base64"),
    "containerimage.digest": root.digest,
    ...nameResponse(names),
  };
}
