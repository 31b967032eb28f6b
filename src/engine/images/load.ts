// docker load: archive → staged layers → plan → per image one commit of layers, config and names. An image is told of only
// when it is on disk; kill -9 before that leaves nothing but a staged directory, which the next start sweeps away.

import { statfs } from "node:fs/promises";
import { type Readable, addAbortSignal } from "node:stream";
import type { Digest } from "../../base/digest.ts";
import { failpoint } from "../../base/failpoint.ts";
import { type Named, type Reference, renderFamiliar, renderReference } from "../../base/reference.ts";
import type { ProgressMessage } from "../api/ports.ts";
import type { Change } from "../store/index.ts";
import { readArchive } from "./archive.ts";
import type { ImagesDeps } from "./images.ts";
import { type PlannedImage, planLoad } from "./plan-load.ts";
import { parsePlatform } from "../../spec/oci/platform.ts";
import { renderProgress } from "./progress.ts";
import { type ImageRecords, imageRow, recordOf, tagTime } from "./records.ts";

export const configMediaType = "application/vnd.oci.image.config.v1+json";

// What loads leave free for the store, logs and writable layers.
const reserveBytes = 64 << 20;

/** Bytes that one layer may take: what the caller allows, and what the disk has. */
export async function layerQuota(deps: ImagesDeps): Promise<number> {
  const { bavail, bsize } = await statfs(deps.dataRoot);
  return Math.max(0, Math.min(deps.maxLayerBytes ?? Infinity, bavail * bsize - reserveBytes));
}

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
  const contents = await readArchive(
    // A client that stalls must not keep a cancelled load waiting.
    addAbortSignal(signal, archive),
    {
      snapshots: deps.snapshots,
      maxLayerBytes: await layerQuota(deps),
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

/**
 * Makes an image true: its layers under their chain ids, its config, its names. Returns what `docker load` says.
 * Order: takes the snapshotter's lock; nothing is taken inside.
 */
export async function commitImage(
  deps: ImagesDeps,
  records: ImageRecords,
  image: PlannedImage,
  action: "load" | "import",
): Promise<readonly string[]> {
  const { content, snapshots, store } = deps;
  using _ = await snapshots.lock();
  await using undo = new AsyncDisposableStack();
  const placed = await snapshots.place(image.layers);
  undo.defer(() => placed.undo());
  const blob = await content.write(image.configBytes, configMediaType);
  undo.defer(() => blob.undo());
  const known = records.get(image.id);
  const lastTagTime = image.references.length > 0 ? tagTime() : known?.lastTagTime;
  const record = recordOf(image.id, image.config, lastTagTime, known?.parent);
  await failpoint("images.load.placed");
  await store.commit([
    ...placed.changes,
    ...blob.changes,
    imageRow(record),
    ...image.references.map((named) => tagRow(renderReference(named), image.id)),
  ]);
  undo.move();
  placed.committed();
  blob.committed();
  records.put(record);
  records.broken.delete(image.id);
  const said = applyReferences(records, image.id, image.references);
  deps.announce(action, record, image.id);
  return said;
}

/** The row of a name. */
export function tagRow(reference: Reference, id: Digest): Change {
  return { put: "tags", row: { reference, image_id: id } };
}

function applyReferences(records: ImageRecords, id: Digest, references: readonly Named[]): readonly string[] {
  if (references.length === 0) return [`Loaded image ID: ${id}`];
  return references.flatMap((named) => {
    const reference = renderReference(named);
    const before = records.byReference(reference);
    records.tag(reference, id);
    const loaded = `Loaded image: ${renderFamiliar(named)}`;
    if (before === undefined || before.id === id) return [loaded];
    return [
      `The image ${renderFamiliar(named)} already exists, renaming the old one with ID ${before.id} to empty string`,
      loaded,
    ];
  });
}
