// Directories of sources, counted: a step that several builds wait for goes on when the build that brought the directory has left.

import type { SourceDirectory } from "../sources/index.ts";

export class SourceHolds {
  readonly #counts = new Map<SourceDirectory, number>();

  /** How many directories are held; 0 when nothing is solved. */
  get size(): number {
    return this.#counts.size;
  }

  /** Takes a directory over from its runner, or keeps it once more; the last one to let go gives it back. */
  hold(directory: SourceDirectory): AsyncDisposable {
    this.#counts.set(directory, (this.#counts.get(directory) ?? 0) + 1);
    let held = true;
    return {
      [Symbol.asyncDispose]: async () => {
        if (!held) return;
        held = false;
        const left = (this.#counts.get(directory) ?? 1) - 1;
        if (left > 0) {
          this.#counts.set(directory, left);
          return;
        }
        this.#counts.delete(directory);
        await directory[Symbol.asyncDispose]();
      },
    };
  }
}
