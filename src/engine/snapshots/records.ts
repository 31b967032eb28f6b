// What the snapshotter keeps in memory of its rows.

import { type ChainId, type DiffId, parseChainId, parseDiffId } from "../../base/digest.ts";
import type { Change, Store } from "../store/index.ts";

/** A read-only layer on disk. */
export interface Layer {
  readonly chainId: ChainId;
  readonly parent: ChainId | undefined;
  readonly diffId: DiffId;
  readonly dir: number;
  readonly sizeBytes: number;
  /** Length of its tar; undefined when it was unpacked without a recipe. */
  readonly tarBytes: number | undefined;
}

/** A container's writable layer. */
export interface WritableLayer {
  readonly key: string;
  readonly parent: ChainId | undefined;
  readonly dir: number;
}

/** The row of a new layer. */
export function insertLayer({ chainId, parent, diffId, dir, sizeBytes, tarBytes }: Layer): Change {
  const row = { chain_id: chainId, parent: parent ?? null, diff_id: diffId, dir, size: sizeBytes };
  return { insert: "layers", row: { ...row, tar_size: tarBytes ?? null } };
}

/** All rows, as maps. */
export async function loadRecords(store: Store): Promise<{
  readonly layers: Map<ChainId, Layer>;
  readonly writables: Map<string, WritableLayer>;
}> {
  const layers = new Map<ChainId, Layer>();
  for (const row of await store.load("layers")) {
    const chainId = parseChainId(row.chain_id);
    const parent = row.parent === null ? undefined : parseChainId(row.parent);
    const tarBytes = row.tar_size ?? undefined;
    const diffId = parseDiffId(row.diff_id);
    layers.set(chainId, { chainId, parent, diffId, dir: row.dir, sizeBytes: row.size, tarBytes });
  }
  const writables = new Map<string, WritableLayer>();
  for (const row of await store.load("snapshots")) {
    const parent = row.chain_id === null ? undefined : parseChainId(row.chain_id);
    writables.set(row.key, { key: row.key, parent, dir: row.dir });
  }
  return { layers, writables };
}
