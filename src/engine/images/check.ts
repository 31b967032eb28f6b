// `system check` for images (F10): image → config and layers, manifest → bytes, and what nothing needs. Blobs of layers that a
// manifest names may be missing (they were never fetched), and downloads that wait are no finding.

import type { Images } from "./index.ts";
import type { ImagesDeps } from "./images.ts";
import { type ImageRecords, type ManifestRecord, blobsOfManifest } from "./records.ts";

type Finding = Awaited<ReturnType<Images["check"]>>[number];

/** Order: takes the snapshotter's lock. With repair, what nothing needs goes, and so do manifests without their bytes. */
export async function checkImages(
  deps: ImagesDeps,
  records: ImageRecords,
  repair: boolean,
): Promise<readonly Finding[]> {
  const { content, snapshots } = deps;
  const findings: Finding[] = [...(await snapshots.check(() => records.tops(), repair))];
  // From here on no image comes or goes: a blob is there before its image's record.
  using _ = await snapshots.lock();
  const report = (subject: string, detail: string, repaired: boolean): void =>
    void findings.push({ invariant: "F10", subject, detail, repaired });
  for (const { id, chain } of records.all()) {
    const missing = chain.find((chainId) => !snapshots.has(chainId));
    if (missing !== undefined) report(`image ${id}`, `layer ${missing} is missing; load the image again`, false);
  }
  for (const [id, why] of records.broken) report(`image ${id}`, `${why}; load the image again`, false);
  for (const manifest of records.manifests()) {
    const detail = complainAboutManifest(deps, records, manifest);
    if (detail === undefined) continue;
    if (repair) {
      await deps.store.commit([{ delete: "manifests", key: manifest.digest }]);
      records.deleteManifest(manifest.digest);
    }
    report(`manifest ${manifest.digest}`, detail, repair);
  }
  for (const finding of await content.check(records.neededBlobs(), repair))
    findings.push({ invariant: "F10", ...finding });
  return findings;
}

/** What is wrong with a manifest: the next push makes another one, so it may go. */
function complainAboutManifest(
  { content }: ImagesDeps,
  records: ImageRecords,
  manifest: ManifestRecord,
): string | undefined {
  const { imageId, layers } = manifest;
  if (records.get(imageId) === undefined && !records.broken.has(imageId)) return `its image ${imageId} is not there`;
  const ofLayers = new Set<string>(layers.map(({ digest }) => digest));
  const missing = blobsOfManifest(manifest).find((digest) => !ofLayers.has(digest) && !content.has(digest));
  return missing === undefined ? undefined : `its bytes are gone (blob ${missing}); push or pull the image again`;
}
