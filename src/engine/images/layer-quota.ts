// How large one layer may become, and what is said when the disk has no room for it.

import { statfs } from "node:fs/promises";
import { EngineError, isEngineError } from "../../base/errors.ts";

// What layers leave free for the store, logs and writable layers.
const reserveBytes = 64 << 20;

interface QuotaDeps {
  readonly dataRoot: string;
  readonly maxLayerBytes?: number;
}

/** Bytes that one layer may take: what the configuration allows, and what the disk has. */
export async function layerQuota(deps: QuotaDeps): Promise<number> {
  const { bavail, bsize } = await statfs(deps.dataRoot);
  return Math.max(0, Math.min(deps.maxLayerBytes ?? Infinity, bavail * bsize - reserveBytes));
}

/**
 * What a layer that did not fit met: a full disk is no fault of the layer.
 *
 * @param what names the layer
 * @param quota what layerQuota said
 */
export function namingFullDisk(deps: QuotaDeps, what: string, quota: number, error: unknown): unknown {
  if (!isEngineError(error)) return error;
  const isQuota =
    quota < (deps.maxLayerBytes ?? Infinity) && error.message.includes(`larger than the ${quota} bytes allowed`);
  if (!isQuota && !/no space left on device/i.test(error.message)) return error;
  const why = isQuota
    ? `no space left on device: its files are larger than the ${quota} bytes that are free beyond a reserve of ${reserveBytes}`
    : error.message;
  return new EngineError("Unavailable", `${what}: ${why}`, { cause: error });
}
