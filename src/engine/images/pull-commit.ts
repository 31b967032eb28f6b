// Makes a pulled image true in one commit: layers, their compressed blobs, config, manifest and index, tag and RepoDigest. A kill
// before that leaves staged directories, which the next start sweeps, and complete ingests, which the next pull uses.

import type { Digest, DiffId } from "../../base/digest.ts";
import { failpoint } from "../../base/failpoint.ts";
import { type Named, renderReference } from "../../base/reference.ts";
import type { StagedLayer } from "../snapshots/index.ts";
import type { ImagesDeps } from "./images.ts";
import type { ResolvedPull } from "./pull-resolve.ts";
import { type ImageRecords, type ManifestRecord, imageRow, manifestRow, recordOf, tagRow } from "./records.ts";
import { useContent } from "./use.ts";

/** What a pull makes true. */
export interface PulledImage {
  readonly resolved: ResolvedPull;
  /** Bottom first. */
  readonly layers: readonly { readonly diffId: DiffId; readonly staged: StagedLayer | undefined }[];
  readonly references: readonly Named[];
}

/** The id of the image that a manifest describes. */
export function imageIdOf({ manifest }: ResolvedPull): Digest {
  return manifest.document.config.digest;
}

/** Whether everything is as the pull would leave it. */
export function isPulled(
  deps: Pick<ImagesDeps, "snapshots">,
  records: ImageRecords,
  resolved: ResolvedPull,
  references: readonly Named[],
): boolean {
  const id = imageIdOf(resolved);
  const image = records.get(id);
  const manifest = records.manifest(resolved.manifest.digest);
  return (
    image?.chain.every((chainId) => deps.snapshots.has(chainId)) === true &&
    manifest?.imageId === id &&
    (resolved.index === undefined || manifest.index === resolved.index.digest) &&
    references.every((named) => records.byReference(renderReference(named))?.id === id)
  );
}

/**
 * Order: takes the snapshotter's lock; nothing is taken inside.
 *
 * @throws DataLoss a layer that was there is gone
 */
export async function commitPull(deps: ImagesDeps, records: ImageRecords, image: PulledImage): Promise<void> {
  // The tag's index of before, of which this platform's entry was the same.
  const replaced = records.manifest(image.resolved.manifest.digest)?.index;
  const used = { top: undefined, blobs: replaced === undefined ? [] : [replaced] };
  await using _ = useContent(deps, records, used);
  await commitLocked(deps, records, image);
}

async function commitLocked(deps: ImagesDeps, records: ImageRecords, image: PulledImage): Promise<void> {
  const { content, snapshots, store } = deps;
  const { index, manifest, config, configBytes } = image.resolved;
  const id = imageIdOf(image.resolved);
  using _ = await snapshots.lock();
  await using undo = new AsyncDisposableStack();
  const placed = await snapshots.place(image.layers);
  undo.defer(() => placed.undo());
  const layers = manifest.document.layers.map(({ digest, mediaType, size }) => ({
    digest,
    mediaType,
    sizeBytes: size,
  }));
  const blobs = await content.place(layers.filter(({ digest }) => content.isIngested(digest)));
  undo.defer(() => blobs.undo());
  await failpoint("images.pull.placed");
  const documents = [];
  for (const { bytes, mediaType } of [
    { bytes: configBytes, mediaType: manifest.document.config.mediaType },
    manifest,
    ...(index === undefined ? [] : [index]),
  ]) {
    const written = await content.write(bytes, mediaType);
    undo.defer(() => written.undo());
    documents.push(written);
  }
  const known = records.get(id);
  const before = records.manifest(manifest.digest);
  const record = recordOf(id, config, known?.lastTagTime, known?.parent);
  const manifestRecord: ManifestRecord = {
    digest: manifest.digest,
    imageId: id,
    mediaType: manifest.mediaType,
    sizeBytes: manifest.bytes.length,
    index: index?.digest ?? before?.index,
    layers,
  };
  await failpoint("images.pull.written");
  await store.commit([
    ...placed.changes,
    ...blobs.changes,
    ...documents.flatMap(({ changes }) => changes),
    imageRow(record),
    manifestRow(manifestRecord),
    ...image.references.map((named) => tagRow(renderReference(named), id)),
  ]);
  undo.move();
  placed.committed();
  blobs.committed();
  for (const document of documents) document.committed();
  records.put(record);
  records.broken.delete(id);
  records.putManifest(manifestRecord);
  for (const named of image.references) records.tag(renderReference(named), id);
  await failpoint("images.pull.committed");
}
