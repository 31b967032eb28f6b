// A queue from whoever sends to whoever iterates, with an end. The sender waits while much is not taken.

const maxQueued = 16;

export class Channel<T> implements AsyncIterable<T> {
  readonly #queue: T[] = [];
  #isClosed = false;
  #wake: (() => void) | undefined;
  readonly #waiting: (() => void)[] = [];

  /** @returns false when nobody takes anything any more */
  async send(item: T): Promise<boolean> {
    if (this.#isClosed) return false;
    this.#queue.push(item);
    this.#wake?.();
    if (this.#queue.length >= maxQueued) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    return !this.#isClosed;
  }

  /** What was sent is still given out. */
  close(): void {
    this.#isClosed = true;
    this.#wake?.();
    for (const resolve of this.#waiting.splice(0)) resolve();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<T> {
    try {
      for (;;) {
        while (this.#queue.length > 0) {
          yield this.#queue.shift() as T;
          if (this.#queue.length < maxQueued) this.#waiting.shift()?.();
        }
        if (this.#isClosed) return;
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
      }
    } finally {
      this.close();
    }
  }
}
