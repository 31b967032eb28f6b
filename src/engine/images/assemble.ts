// Makes an image of layers that are there already, for build: one commit of its config and its names, and of its manifest
// where it has one. The config's bytes are the caller's: their digest is the image's id.

import { digestOf, parseDiffId, type Digest } from "../../base/digest.ts";
import { commitImage } from "./commit-image.ts";
import type { ImagesDeps } from "./images.ts";
import type { AssembledImage } from "./index.ts";
import { parseImageConfig } from "./parse-config.ts";
import type { ImageRecords } from "./records.ts";

/** See Images.assemble. */
export async function assembleImage(
  deps: ImagesDeps,
  records: ImageRecords,
  image: AssembledImage,
  signal: AbortSignal,
): Promise<Digest> {
  const { configBytes, references, parent, manifests = [] } = image;
  const id = digestOf(configBytes);
  const config = parseImageConfig(configBytes);
  signal.throwIfAborted();
  await commitImage(
    deps,
    records,
    {
      id,
      configBytes,
      config,
      layers: config.rootfs.diff_ids.map((text) => ({ diffId: parseDiffId(text), staged: undefined })),
      references,
      parent,
      manifests: manifests.map(({ bytes, mediaType, index, layers }) => ({
        bytes,
        ...(index === undefined ? {} : { index }),
        record: {
          digest: digestOf(bytes),
          imageId: id,
          mediaType,
          sizeBytes: bytes.length,
          index: index === undefined ? undefined : digestOf(index.bytes),
          layers,
        },
      })),
    },
    "build",
  );
  return id;
}
