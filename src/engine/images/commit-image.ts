// Makes an image true in one commit: its layers under their chain ids, its config, its manifests, its names. It is told of only
// when it is on disk; a kill before that leaves staged directories and files without rows, which the next start sweeps away.

import type { Digest, DiffId } from "../../base/digest.ts";
import { failpoint } from "../../base/failpoint.ts";
import { type Named, renderFamiliar, renderReference } from "../../base/reference.ts";
import type { OciImageConfig } from "../../spec/oci/image.ts";
import type { StagedLayer } from "../snapshots/index.ts";
import type { ImagesDeps } from "./images.ts";
import {
  type ImageRecord,
  type ImageRecords,
  type ManifestRecord,
  imageRow,
  manifestRow,
  recordOf,
  tagRow,
  tagTime,
} from "./records.ts";

/** An image whose parts are there and which is about to become one. */
export interface NewImage {
  /** Digest of the config. */
  readonly id: Digest;
  readonly configBytes: Uint8Array;
  readonly config: OciImageConfig;
  /** Bottom first, one per diff id of the config; undefined for a layer that some image has at the same place. */
  readonly layers: readonly { readonly diffId: DiffId; readonly staged: StagedLayer | undefined }[];
  readonly references: readonly Named[];
  /** Undefined leaves an image that is there already with the one that it has. */
  readonly parent: Digest | undefined;
  readonly manifests: readonly NewManifest[];
}

/** A manifest to be kept; those of its layers' blobs that are complete ingests become blobs with it. */
export interface NewManifest {
  readonly record: ManifestRecord;
  readonly bytes: Uint8Array;
  /** Bytes of `record.index`, where they are not here yet. */
  readonly index?: { readonly bytes: Uint8Array; readonly mediaType: string };
}

/** How the image came; decides what is announced, in dockerd's order. */
export type NewImageAction = "load" | "import" | "commit" | "build";

export const configMediaType = "application/vnd.oci.image.config.v1+json";

/**
 * Commits the image. Returns what `docker load` says of it.
 * Order: takes the snapshotter's lock; nothing is taken inside.
 *
 * @throws DataLoss a layer is neither staged nor there
 */
export async function commitImage(
  deps: ImagesDeps,
  records: ImageRecords,
  image: NewImage,
  action: NewImageAction,
): Promise<readonly string[]> {
  const { content, snapshots, store } = deps;
  using _ = await snapshots.lock();
  await using undo = new AsyncDisposableStack();
  const placed = await snapshots.place(image.layers);
  undo.defer(() => placed.undo());
  const blobs = [await content.write(image.configBytes, configMediaType)];
  undo.defer(() => undoAll(blobs));
  for (const { bytes, record, index } of image.manifests) {
    blobs.push(await content.write(bytes, record.mediaType));
    if (index !== undefined) blobs.push(await content.write(index.bytes, index.mediaType));
  }
  const ingested = image.manifests
    .flatMap(({ record }) => record.layers)
    .filter(({ digest }) => content.isIngested(digest));
  const layers = await content.place(ingested);
  undo.defer(() => layers.undo());
  const known = records.get(image.id);
  const lastTagTime = image.references.length > 0 ? tagTime() : known?.lastTagTime;
  const record = recordOf(image.id, image.config, lastTagTime, image.parent ?? known?.parent);
  await failpoint("images.load.placed");
  await store.commit([
    ...placed.changes,
    ...blobs.flatMap((blob) => blob.changes),
    ...layers.changes,
    imageRow(record),
    ...image.manifests.map((manifest) => manifestRow(manifest.record)),
    ...image.references.map((named) => tagRow(renderReference(named), image.id)),
  ]);
  undo.move();
  placed.committed();
  for (const blob of blobs) blob.committed();
  layers.committed();
  records.put(record);
  records.broken.delete(image.id);
  for (const manifest of image.manifests) records.putManifest(manifest.record);
  const said = applyReferences(records, image.id, image.references);
  announce(deps, record, image.references, action);
  return said;
}

async function undoAll(blobs: readonly { undo(): Promise<void> }[]): Promise<void> {
  for (const blob of blobs) await blob.undo();
}

/** A load brings its names without a word. */
function announce(deps: ImagesDeps, record: ImageRecord, references: readonly Named[], action: NewImageAction): void {
  if (action === "commit") deps.announce("create", record, record.id);
  const told = action === "build" ? references.filter(({ digest }) => digest === undefined) : references;
  if (action !== "load") for (const named of told) deps.announce("tag", record, renderFamiliar(named));
  if (action === "build") deps.announce("create", record, record.id);
  else if (action !== "commit") deps.announce(action, record, record.id);
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
