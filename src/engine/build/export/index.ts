// The face of the outputs: from a solved build to the image store, archives, directories and registries.

import type { Digest } from "../../../base/digest.ts";
import type { Logger } from "../../../base/log.ts";
import type { OciImageConfig, Platform } from "../../../spec/oci/image.ts";
import type { Distribution } from "../../../distribution/index.ts";
import type { ContentStore } from "../../content/index.ts";
import type { Images } from "../../images/index.ts";
import type { Snapshotter } from "../../snapshots/index.ts";
import type { DiffId } from "../../../base/digest.ts";
import type { Attestation } from "../attest/index.ts";
import type { BuildLayers } from "../layers/index.ts";
import type { JobContext } from "../solver/index.ts";

/** BuildKit's exporters, by their types: image and moby are the image store. */
export interface OutputRequest {
  readonly type: "image" | "moby" | "docker" | "oci" | "local" | "tar" | "registry" | "cacheonly";
  readonly attributes: Readonly<Record<string, string>>;
  /** Which of the client's outputs it is. */
  readonly index: number;
}

/** An image whose layers are there, complete but for being stored. */
export interface BuiltImage {
  readonly platform: Platform;
  readonly layers: readonly DiffId[];
  /** With history, rootfs and created. */
  readonly config: OciImageConfig;
  readonly attestations: readonly Attestation[];
}

export interface ExportDeps {
  readonly images: Images;
  readonly layers: BuildLayers;
  readonly snapshots: Snapshotter;
  readonly content: ContentStore;
  readonly distribution: Distribution;
  readonly copyPath: string;
  readonly packPath: string;
  /** Path of gantry-unpack, for outputs that are directories. */
  readonly unpackPath: string;
  readonly dataRoot: string;
  readonly engineVersion: string;
  readonly logger: Logger;
}

export interface Exporters {
  /**
   * Everything that is wrong with what is asked, before anything is built.
   *
   * @throws InvalidParameter unknown type or attribute, a name that is no reference, …
   */
  validate(outputs: readonly OutputRequest[], platforms: readonly Platform[]): void;
  /**
   * Makes all outputs, each a vertex of the progress ("exporting to image").
   *
   * @returns BuildKit's exporter response: containerimage.digest, containerimage.config.digest, image.name, containerimage.descriptor, …
   */
  export(
    images: readonly BuiltImage[],
    outputs: readonly OutputRequest[],
    job: JobContext,
    options: { readonly sourceDateEpoch: number | undefined; readonly inlineCache: unknown },
    signal: AbortSignal,
  ): Promise<{ readonly response: Readonly<Record<string, string>>; readonly imageIds: readonly Digest[] }>;
}

export { createExporters } from "./exporters.ts";
