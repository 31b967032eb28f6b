// Sends an image's blobs, manifests and index to the repositories of its names, with the client's credentials.

import { EngineError, isEngineError, messageOf } from "../../../base/errors.ts";
import { type Named, renderReference } from "../../../base/reference.ts";
import type { ParsedOutput } from "./attributes.ts";
import { type ExportContext, counted } from "./context.ts";
import type { Packed } from "./pack-images.ts";

/** What Docker calls the registry that needs no name. */
const hubHost = "https://index.docker.io/v1/";

/**
 * Pushes under all names, one repository after the other.
 *
 * @throws what the registry client throws, with the name before it
 */
export async function pushImage(
  context: ExportContext,
  packed: Packed,
  output: Extract<ParsedOutput, { type: "image" }>,
): Promise<void> {
  for (const named of output.form.names) {
    try {
      await pushOne(context, packed, named, output.pushByDigest);
    } catch (cause) {
      const kind = isEngineError(cause) ? cause.kind : "System";
      throw new EngineError(kind, `failed to push ${renderReference(named)}: ${messageOf(cause)}`, { cause });
    }
  }
}

async function pushOne(context: ExportContext, packed: Packed, named: Named, byDigest: boolean): Promise<void> {
  const { deps, job, report, signal } = context;
  const host = named.domain === "docker.io" ? hubHost : named.domain;
  const credentials = await job.client.credentials(host, signal);
  const currents = new Map<string, number>();
  const total = packed.blobs.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  const progress = counted(report, "pushing layers");
  report.status("pushing layers", 0, 0, false);
  const manifestLine = `pushing manifest for ${renderReference(named)}@${packed.root.digest}`;
  await deps.images.publish(
    {
      named,
      credentials,
      blobs: packed.blobs,
      manifests: packed.manifests.map((manifest) => ({
        bytes: manifest.bytes,
        mediaType: manifest.mediaType,
        tag: manifest === packed.root && !byDigest ? (named.tag ?? "latest") : undefined,
      })),
      labels: packed.images[0]?.image.config.config?.Labels ?? {},
      onBlobs: () => {
        report.status("pushing layers", total, total, true);
        report.status(manifestLine, 0, 0, false);
      },
    },
    ({ id, progressDetail }) => {
      if (id === undefined || progressDetail?.current === undefined) return;
      currents.set(id, progressDetail.current);
      progress(
        [...currents.values()].reduce((sum, bytes) => sum + bytes, 0),
        total,
      );
    },
    signal,
  );
  report.status(manifestLine, 0, 0, true);
}
