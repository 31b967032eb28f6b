// What all pushes of an engine share: how many blobs move at once, and that one blob goes into one repository once at a time.
// Order: a key is locked before a slot is taken, so that nobody holds a slot while waiting for somebody else's upload.

import { EngineError } from "../../base/errors.ts";
import { KeyedMutex } from "../../base/mutex.ts";
import { Slots } from "../../base/slots.ts";
import type { Digest } from "../../base/digest.ts";
import type { EncodedLayer } from "./compress-layer.ts";

/** So many layers are compressed at once: each of them occupies a thread of Node's pool, which file I/O needs as well. */
const maxCompressions = 2;

/** One of these for each image room. */
export class PushShare {
  readonly uploads: Slots;
  readonly compressions = new Slots(() => maxCompressions, cancelled);
  /** By diff id, compression and level: what layers became when they were compressed; the blob may be gone since. */
  readonly compressed = new Map<string, EncodedLayer>();
  /** How many are reading what may be an ingest. */
  readonly ingestUsers = new Map<Digest, number>();
  readonly #mutex = new KeyedMutex();

  /** @param maxUploads asked anew for every blob */
  constructor(maxUploads: () => number) {
    this.uploads = new Slots(maxUploads, cancelled);
  }

  /** @throws Cancelled the signal was aborted before it was this caller's turn */
  async lock(key: string, signal: AbortSignal): Promise<Disposable> {
    throwIfAborted(signal);
    const locking = this.#mutex.lock(key);
    const { promise, resolve } = Promise.withResolvers<void>();
    const onAbort = (): void => resolve();
    signal.addEventListener("abort", onAbort, { once: true });
    await Promise.race([locking, promise]);
    signal.removeEventListener("abort", onAbort);
    if (!signal.aborted) return locking;
    void locking.then((lock) => lock[Symbol.dispose]());
    throw cancelled();
  }
}

function cancelled(): EngineError {
  return new EngineError("Cancelled", "the push was cancelled");
}

/** @throws Cancelled */
export function throwIfAborted(signal: AbortSignal): void {
  if (signal.aborted) throw cancelled();
}
