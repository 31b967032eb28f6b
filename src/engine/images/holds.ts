// Images that containers are being made of: a delete waits for them, and nobody takes hold of what is being deleted.
// A hold lasts milliseconds; streams that last use useImage.

import type { Digest } from "../../base/digest.ts";

interface Hold {
  count: number;
  readonly released: PromiseWithResolvers<void>;
}

export class ImageHolds {
  readonly #holds = new Map<Digest, Hold>();
  readonly #deleting = new Set<Digest>();

  hold(id: Digest): Disposable {
    const hold = this.#holds.get(id) ?? { count: 0, released: Promise.withResolvers<void>() };
    this.#holds.set(id, hold);
    hold.count++;
    let held = true;
    return {
      [Symbol.dispose]: () => {
        if (!held) return;
        held = false;
        if (--hold.count > 0) return;
        this.#holds.delete(id);
        hold.released.resolve();
      },
    };
  }

  isHeld(id: Digest): boolean {
    return this.#holds.has(id);
  }

  /** Resolves when nobody holds the image; somebody else may do so again at once. */
  async released(id: Digest): Promise<void> {
    await this.#holds.get(id)?.released.promise;
  }

  isDeleting(id: Digest): boolean {
    return this.#deleting.has(id);
  }

  /** Until disposed, the images cannot be held. */
  deleting(ids: readonly Digest[]): Disposable {
    for (const id of ids) this.#deleting.add(id);
    return {
      [Symbol.dispose]: () => {
        for (const id of ids) this.#deleting.delete(id);
      },
    };
  }
}
