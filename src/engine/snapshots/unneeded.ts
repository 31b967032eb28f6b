// Which layers nothing needs. Pure.

import type { ChainId } from "../../base/digest.ts";
import type { Layer } from "./records.ts";

/**
 * Layers under none of `tops`, top-most first: each before those that it lies on.
 *
 * @param layers all of them
 */
export function findUnneeded(layers: ReadonlyMap<ChainId, Layer>, tops: Iterable<ChainId>): readonly Layer[] {
  const needed = new Set<ChainId>();
  for (const top of tops)
    for (let id: ChainId | undefined = top; id !== undefined && !needed.has(id); id = layers.get(id)?.parent)
      needed.add(id);
  const depths = new Map<ChainId, number>();
  const depthOf = (layer: Layer): number => {
    let depth = 0;
    for (let id: ChainId | undefined = layer.chainId; id !== undefined; id = layers.get(id)?.parent) depth++;
    return depth;
  };
  const unneeded = [...layers.values()].filter(({ chainId }) => !needed.has(chainId));
  for (const layer of unneeded) depths.set(layer.chainId, depthOf(layer));
  return unneeded.sort((a, b) => (depths.get(b.chainId) ?? 0) - (depths.get(a.chainId) ?? 0));
}
