// Base images looked at before a Dockerfile is lowered: each once, all at the same time, again where triggers want more.

import { digestOf } from "../../base/digest.ts";
import { isEngineError, messageOf } from "../../base/errors.ts";
import { parseNamed, renderFamiliar } from "../../base/reference.ts";
import { renderPlatform } from "../../spec/oci/platform.ts";
import type { BuildClient } from "./client.ts";
import { type Dockerfile, DockerfileError } from "./dockerfile/index.ts";
import {
  type ImageKey,
  type KnownImage,
  type LowerOptions,
  type WantedImage,
  wantedImages,
  wantedKey,
} from "./graph/index.ts";
import type { ImageResolver } from "./index.ts";
import type { BuildProgress } from "./progress.ts";

/** Rounds of triggers that want images; more is a circle of images. */
const maxRounds = 16;

function familiar(reference: string): string {
  try {
    return renderFamiliar(parseNamed(reference));
  } catch {
    return reference;
  }
}

/** @throws DockerfileError an image that cannot be had, with the line that names it */
export async function resolveImages(
  dockerfile: Dockerfile,
  options: LowerOptions,
  resolver: ImageResolver,
  context: {
    readonly mode: "always" | "missing";
    readonly client: BuildClient;
    readonly progress: BuildProgress;
  },
  signal: AbortSignal,
): Promise<ReadonlyMap<ImageKey, KnownImage>> {
  const known = new Map<ImageKey, KnownImage>();
  for (let round = 0; ; round++) {
    const wanted = wantedImages(dockerfile, options, known);
    if (wanted.length === 0) return known;
    if (round === maxRounds) throw new DockerfileError("triggers of base images want more and more images", []);
    const found = await Promise.all(
      wanted.map((image) => resolveOne(image, options.platforms.length > 1, resolver, context, signal)),
    );
    for (const [index, image] of wanted.entries()) {
      const one = found[index];
      if (one !== undefined) known.set(wantedKey(image), one);
    }
  }
}

async function resolveOne(
  wanted: WantedImage,
  withPlatform: boolean,
  resolver: ImageResolver,
  context: Parameters<typeof resolveImages>[3],
  signal: AbortSignal,
): Promise<KnownImage> {
  const { reference, platform, storeId, range } = wanted;
  const prefix = withPlatform ? `[${renderPlatform(platform)} internal]` : "[internal]";
  const name = `${prefix} load metadata for ${reference}`;
  const { client, mode, progress } = context;
  try {
    return await progress.vertex(
      { digest: digestOf(`${name} ${storeId ?? ""} ${renderPlatform(platform)}`), name },
      (report) => resolver.resolve(reference, platform, { mode, client, storeId, report }, signal),
    );
  } catch (error) {
    signal.throwIfAborted();
    const kind = isEngineError(error) ? error.kind : "Unknown";
    throw new DockerfileError(
      `${familiar(reference)}: failed to resolve source metadata for ${reference}: ${messageOf(error)}`,
      range === undefined ? [] : [range],
      { cause: error, kind },
    );
  }
}
