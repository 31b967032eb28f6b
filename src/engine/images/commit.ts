// Makes an image of a layer on top of another image. The config is written with its members in the order in which Go sorts
// them, so that the same commit in two engines differs in nothing but what has to differ.

import { type Digest, digestOf, parseDiffId } from "../../base/digest.ts";
import { EngineError } from "../../base/errors.ts";
import { commitImage } from "./commit-image.ts";
import type { ImagesDeps } from "./images.ts";
import type { CommittedImage } from "./index.ts";
import { parseImageConfig } from "./parse-config.ts";
import type { ImageRecords } from "./records.ts";

/** See Images.commit. */
export async function commitLayer(
  deps: ImagesDeps,
  records: ImageRecords,
  image: CommittedImage,
  signal: AbortSignal,
): Promise<Digest> {
  const base = image.base === undefined ? undefined : records.get(image.base);
  if (image.base !== undefined && base === undefined) throw new EngineError("NotFound", `No such image: ${image.base}`);
  const below = (base?.config.rootfs.diff_ids ?? []).map((text) => ({ diffId: parseDiffId(text), staged: undefined }));
  const own = image.layer === undefined ? [] : [{ diffId: image.layer.diffId, staged: image.layer }];
  const layers = [...below, ...own];
  const step = image.layer === undefined ? { ...image.config.history, empty_layer: true } : image.config.history;
  const members = {
    ...image.config,
    docker_version: deps.engineVersion,
    history: [...(base?.config.history ?? []), step],
    rootfs: { type: "layers", diff_ids: layers.map(({ diffId }) => diffId) },
  };
  const sorted = Object.entries(members).sort(([a], [b]) => (a < b ? -1 : 1));
  const configBytes = Buffer.from(JSON.stringify(Object.fromEntries(sorted)));
  const id = digestOf(configBytes);
  signal.throwIfAborted();
  await commitImage(
    deps,
    records,
    {
      id,
      configBytes,
      config: parseImageConfig(configBytes),
      layers,
      references: image.reference === undefined ? [] : [image.reference],
      parent: image.base,
      manifests: [],
    },
    "commit",
  );
  return id;
}
