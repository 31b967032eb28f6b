// What external caches offer to one build: records that are not here, found by the same keys as those that are.

import type { CacheRecordOffer } from "./index.ts";

/** An offered record of which the layers are needed, and cannot be had: the build is solved again without it. */
export class OfferLost extends Error {
  readonly offer: CacheRecordOffer;

  constructor(offer: CacheRecordOffer, cause: unknown) {
    super(`the layers of cache record ${offer.id} cannot be had`, { cause });
    this.offer = offer;
  }
}

export class Offers {
  readonly #byKey = new Map<string, CacheRecordOffer>();

  /** What was offered first is taken. */
  add(records: readonly CacheRecordOffer[]): void {
    for (const record of records)
      for (const key of record.keys) if (!this.#byKey.has(key)) this.#byKey.set(key, record);
  }

  find(key: string): CacheRecordOffer | undefined {
    return this.#byKey.get(key);
  }

  /** One without layers was a hint; where a fetch failed, the others would fail as well. */
  discard(offer: CacheRecordOffer): void {
    for (const [key, known] of this.#byKey) if (known === offer || offer.hasLayers) this.#byKey.delete(key);
  }
}
