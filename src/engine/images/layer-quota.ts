// How large one layer may become.

import { statfs } from "node:fs/promises";

// What layers leave free for the store, logs and writable layers.
const reserveBytes = 64 << 20;

/** Bytes that one layer may take: what the configuration allows, and what the disk has. */
export async function layerQuota(deps: {
  readonly dataRoot: string;
  readonly maxLayerBytes?: number;
}): Promise<number> {
  const { bavail, bsize } = await statfs(deps.dataRoot);
  return Math.max(0, Math.min(deps.maxLayerBytes ?? Infinity, bavail * bsize - reserveBytes));
}
