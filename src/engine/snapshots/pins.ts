// Layers that must not be collected although no row needs them yet, or any more: staged for a load, or being read.

import type { ChainId } from "../../base/digest.ts";

/** Counts who needs a layer; a pin keeps those under it as well. */
export class LayerPins {
  readonly #counts = new Map<ChainId, number>();

  /** Layers that are pinned. */
  chainIds(): Iterable<ChainId> {
    return this.#counts.keys();
  }

  /** Keeps a layer from being collected until the answer is called; further calls of it do nothing. */
  pin(chainId: ChainId): () => void {
    this.#counts.set(chainId, (this.#counts.get(chainId) ?? 0) + 1);
    let held = true;
    return () => {
      if (!held) return;
      held = false;
      const left = (this.#counts.get(chainId) ?? 1) - 1;
      if (left === 0) this.#counts.delete(chainId);
      else this.#counts.set(chainId, left);
    };
  }
}
