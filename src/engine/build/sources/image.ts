// Base images. Their layers are those of the image store, so that a step upon one begins without a copy.

import { type DiffId, parseDiffId } from "../../../base/digest.ts";
import { EngineError } from "../../../base/errors.ts";
import type { Images } from "../../images/index.ts";
import type { BuildLayers } from "../layers/index.ts";
import type { OpRunner, Snapshot } from "../solver/index.ts";

export interface ImageRunnerDeps {
  readonly images: Images;
  readonly layers: BuildLayers;
}

/** The key of a base image is its id; its layers are there since it was resolved. */
export function createImageRunner(deps: ImageRunnerDeps): OpRunner {
  return {
    key: (op) => Promise.resolve(op.kind === "image" ? op.imageId : undefined),
    async run(op, _inputs, { job }) {
      if (op.kind !== "image") throw new EngineError("System", `${op.kind} is no image op`);
      const layers = job.baseLayers?.get(op.imageId);
      if (layers !== undefined && deps.layers.has(layers)) return { kind: "layers", layers };
      return imageSnapshot(deps, op.imageId, op.reference);
    },
  };
}

/** @throws NotFound the image was deleted meanwhile; DataLoss its layers are not there */
export async function imageSnapshot(
  { images, layers }: ImageRunnerDeps,
  id: Parameters<Images["get"]>[0],
  reference: string,
): Promise<Snapshot> {
  using _ = images.hold(id);
  const { config } = await images.get(id);
  const diffIds: readonly DiffId[] = config.rootfs.diff_ids.map((text) => parseDiffId(text));
  if (!layers.has(diffIds)) throw new EngineError("DataLoss", `${reference}: its layers are gone; pull it again`);
  return { kind: "layers", layers: diffIds };
}
