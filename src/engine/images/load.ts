// docker load: archive → staged layers → plan → one commit per image.

import { type Readable, addAbortSignal } from "node:stream";
import type { Digest } from "../../base/digest.ts";
import type { ProgressMessage } from "../api/ports.ts";
import { readArchive } from "./archive.ts";
import { commitImage } from "./commit-image.ts";
import type { ImagesDeps } from "./images.ts";
import { layerQuota, namingFullDisk } from "./layer-quota.ts";
import { planLoad } from "./plan-load.ts";
import { parsePlatform } from "../../spec/oci/platform.ts";
import { renderProgress } from "./progress.ts";
import type { ImageRecords } from "./records.ts";

export interface LoadOptions {
  readonly quiet: boolean;
  readonly platform: string | undefined;
}

/** Loads every image of the archive. @throws see readArchive and planLoad */
export async function loadArchive(
  deps: ImagesDeps,
  records: ImageRecords,
  archive: Readable,
  options: LoadOptions,
  tell: (message: ProgressMessage) => void,
  signal: AbortSignal,
): Promise<readonly Digest[]> {
  const wanted =
    options.platform === undefined || options.platform === "" ? undefined : parsePlatform(options.platform);
  const maxLayerBytes = await layerQuota(deps);
  const contents = await readArchive(
    // A client that stalls must not keep a cancelled load waiting.
    addAbortSignal(signal, archive),
    {
      snapshots: deps.snapshots,
      content: deps.content,
      maxLayerBytes,
      failureOf: (layer, error) => namingFullDisk(deps, layer, maxLayerBytes, error),
      onProgress: (id, current, total) => {
        if (!options.quiet) tell(renderProgress("Loading layer", id, current, total));
      },
    },
    signal,
  );
  try {
    const planned = planLoad(contents, wanted);
    const ids: Digest[] = [];
    for (const image of planned) {
      for (const text of await commitImage(deps, records, image, "load")) tell({ stream: `${text}\n` });
      ids.push(image.id);
    }
    return ids;
  } finally {
    await contents.release();
  }
}
