// Sends blobs and manifests that a build made into a repository: blobs that it lacks first, then manifests, children before
// the index that names them. Slots, mounts and uploads are those of docker push.

import { digestOf, hexOf } from "../../base/digest.ts";
import { EngineError } from "../../base/errors.ts";
import { familiarRepository, renderFamiliar } from "../../base/reference.ts";
import type { ProgressMessage } from "../api/ports.ts";
import type { ImagesDeps } from "./images.ts";
import type { Publication } from "./index.ts";
import { indexSources } from "./plan-push.ts";
import type { PushShare } from "./push-slots.ts";
import { PushTarget } from "./push-target.ts";
import type { ImageRecords } from "./records.ts";

/** See Images.publish. */
export async function publishManifests(
  deps: ImagesDeps,
  records: ImageRecords,
  share: PushShare,
  publication: Publication,
  tell: (message: ProgressMessage) => void,
  signal: AbortSignal,
): Promise<void> {
  const { named, credentials, blobs, manifests, labels } = publication;
  const repository = await deps.distribution.repository(named, "push", credentials, signal);
  const sources = indexSources(records.manifests(), records.referencesByImage());
  const target = new PushTarget(deps, share, { named, repository, credentials, sources }, tell);
  target.addBlobs(new Map(blobs.map((blob) => [blob.digest, blob])));
  const stop = new AbortController();
  const any = AbortSignal.any([signal, stop.signal]);
  await Promise.all(
    [...new Map(blobs.map((blob) => [blob.digest, blob])).values()].map(async ({ digest, sizeBytes }) => {
      try {
        await target.putLayer({ digest, sizeBytes, mediaType: "" }, hexOf(digest).slice(0, 12), any);
      } catch (error) {
        if (!stop.signal.aborted) stop.abort(error);
      }
    }),
  );
  if (stop.signal.aborted) throw stop.signal.reason;
  publication.onBlobs?.();
  for (const { bytes, mediaType, tag } of manifests) {
    const digest = digestOf(bytes);
    const stored = await repository.putManifest(tag ?? digest, bytes, mediaType, signal);
    if (stored !== digest)
      throw new EngineError("System", `the registry stored the manifest as ${stored}, not as ${digest}`);
  }
  deps.events.publish({
    type: "image",
    action: "push",
    id: renderFamiliar(named),
    attributes: { ...labels, name: familiarRepository(named) },
  });
}
