// docker import: a root file system as tar, sent or downloaded, becomes an image of one layer, with a config that --change
// instructions shape.

import { type Readable, addAbortSignal } from "node:stream";
import { digestOf } from "../../base/digest.ts";
import { EngineError } from "../../base/errors.ts";
import { type Named, parseNamed, withDefaultTag } from "../../base/reference.ts";
import { nowRfc3339Nano } from "../../base/time.ts";
import { renderHumanSize } from "../../base/units.ts";
import type { ProgressMessage } from "../api/ports.ts";
import type { StagedLayer } from "../snapshots/index.ts";
import { applyChanges } from "./changes.ts";
import { openCompressed } from "./compression.ts";
import type { ImagesDeps } from "./images.ts";
import { commitImage } from "./commit-image.ts";
import { layerQuota, namingFullDisk } from "./layer-quota.ts";
import { parseImageConfig } from "./parse-config.ts";
import { renderProgress } from "./progress.ts";
import { hostArchitecture, parsePlatform } from "../../spec/oci/platform.ts";
import type { ImageRecords } from "./records.ts";

const progressBytes = 1 << 20;

export interface ImportOptions {
  readonly reference: string | undefined;
  readonly message: string;
  readonly changes: readonly string[];
  readonly platform: string | undefined;
}

/** An import whose arguments were found good; nothing was read yet. */
export interface PreparedImport {
  /** @throws what the download, the decompression and the unpacking throw */
  run(source: Readable | string, tell: (message: ProgressMessage) => void, signal: AbortSignal): Promise<void>;
}

/**
 * Checks the arguments.
 *
 * @throws InvalidParameter a reference, change or platform is malformed
 */
export function prepareImport(deps: ImagesDeps, records: ImageRecords, options: ImportOptions): PreparedImport {
  const named = parseTarget(options.reference);
  const wanted =
    options.platform === undefined || options.platform === "" ? undefined : parsePlatform(options.platform);
  const config = applyChanges({}, options.changes);

  const stageLayer = async (
    tar: AsyncIterable<Uint8Array>,
    maxBytes: number,
    signal: AbortSignal,
  ): Promise<StagedLayer> => {
    try {
      return await deps.snapshots.stage(tar, { claimed: undefined, maxBytes }, signal);
    } catch (error) {
      throw namingFullDisk(deps, `import of ${options.reference || "an image"}`, maxBytes, error);
    }
  };
  return {
    async run(source, tell, signal) {
      const { chunks, name } = await openSource(deps, source, tell, signal);
      const tar = await openCompressed(chunks);
      const maxBytes = await layerQuota(deps);
      const staged = await stageLayer(tar, maxBytes, signal);
      try {
        const created = nowRfc3339Nano();
        const comment = options.message === "" ? `Imported from ${name}` : options.message;
        const configBytes = Buffer.from(
          JSON.stringify({
            architecture: wanted === undefined || wanted.architecture === "" ? hostArchitecture() : wanted.architecture,
            ...(wanted === undefined || wanted.variant === "" ? {} : { variant: wanted.variant }),
            os: "linux",
            created,
            comment,
            docker_version: deps.engineVersion,
            config,
            history: [{ created, comment }],
            rootfs: { type: "layers", diff_ids: [staged.diffId] },
          }),
        );
        const id = digestOf(configBytes);
        const image = {
          id,
          configBytes,
          config: parseImageConfig(configBytes),
          layers: [{ diffId: staged.diffId, staged }],
          references: named === undefined ? [] : [named],
          parent: undefined,
          manifests: [],
        };
        await commitImage(deps, records, image, "import");
        tell({ status: id });
      } finally {
        await staged.release();
      }
    },
  };
}

/** The archive's bytes, and what it is called in the image's history. */
async function openSource(
  deps: ImagesDeps,
  source: Readable | string,
  tell: (message: ProgressMessage) => void,
  signal: AbortSignal,
): Promise<{ readonly chunks: AsyncIterable<Uint8Array>; readonly name: string }> {
  if (typeof source !== "string") return { chunks: addAbortSignal(signal, source), name: "-" };
  const { url, sizeBytes, chunks } = await deps.distribution.download(source, signal);
  tell({ status: `Downloading from ${url}` });
  return { chunks: countBytes(chunks, sizeBytes, tell), name: url };
}

async function* countBytes(
  chunks: AsyncIterable<Uint8Array>,
  total: number | undefined,
  tell: (message: ProgressMessage) => void,
): AsyncGenerator<Uint8Array> {
  let current = 0;
  let told = 0;
  for await (const chunk of chunks) {
    yield chunk;
    current += chunk.length;
    if (current - told < progressBytes) continue;
    told = current;
    tell(renderImporting(current, total));
  }
  if (current > told) tell(renderImporting(current, total));
}

/** A download whose length nobody knows has no bar. */
function renderImporting(current: number, total: number | undefined): ProgressMessage {
  const status = "Importing";
  if (total === undefined)
    return { status, progressDetail: { current, total: -1 }, progress: renderHumanSize(current).padStart(8) };
  const { progressDetail = {}, progress = "" } = renderProgress(status, "", current, total);
  return { status, progressDetail, progress };
}

function parseTarget(reference: string | undefined): Named | undefined {
  if (reference === undefined || reference === "") return undefined;
  const named = parseNamed(reference);
  if (named.digest !== undefined) throw new EngineError("InvalidParameter", "cannot import digest reference");
  return withDefaultTag(named);
}
