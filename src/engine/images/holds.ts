// Images that containers are being made of: a delete waits for them, and nobody takes hold of what is being deleted.
// A hold lasts milliseconds; streams that last use useImage.

import type { Digest } from "../../base/digest.ts";
import { Holds } from "../../base/holds.ts";

export class ImageHolds extends Holds<Digest> {
  readonly #deleting = new Set<Digest>();

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
