// docker import: a root file system as tar becomes an image of one layer, with a config that --change instructions shape.

import { type Readable, addAbortSignal } from "node:stream";
import { type Digest, digestOf } from "../../base/digest.ts";
import { EngineError } from "../../base/errors.ts";
import { type Named, parseNamed, withDefaultTag } from "../../base/reference.ts";
import { nowRfc3339Nano } from "../../base/time.ts";
import { applyChanges } from "./changes.ts";
import { openCompressed } from "./compression.ts";
import type { ImagesDeps } from "./images.ts";
import { commitImage, layerQuota } from "./load.ts";
import { parseImageConfig } from "./parse-config.ts";
import { hostArchitecture, parsePlatform } from "../../spec/oci/platform.ts";
import type { ImageRecords } from "./records.ts";

export interface ImportOptions {
  readonly reference: string | undefined;
  readonly message: string;
  readonly changes: readonly string[];
  readonly platform: string | undefined;
}

/** An import whose arguments were found good; the archive was not touched yet. */
export interface PreparedImport {
  run(archive: Readable, signal: AbortSignal): Promise<Digest>;
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
  const comment = options.message === "" ? "Imported from -" : options.message;

  return {
    async run(archive, signal) {
      const tar = await openCompressed(addAbortSignal(signal, archive));
      const staged = await deps.snapshots.stage(tar, { claimed: undefined, maxBytes: await layerQuota(deps) }, signal);
      try {
        const created = nowRfc3339Nano();
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
        };
        await commitImage(deps, records, image, "import");
        return id;
      } finally {
        await staged.release();
      }
    },
  };
}

function parseTarget(reference: string | undefined): Named | undefined {
  if (reference === undefined || reference === "") return undefined;
  const named = parseNamed(reference);
  if (named.digest !== undefined) throw new EngineError("InvalidParameter", "cannot import digest reference");
  return withDefaultTag(named);
}
