// A mutex per key, fair, held with `using`. Lock order is written where a lock is taken.

/** Locks by key; a key costs memory only while somebody holds it or waits for it. */
export class KeyedMutex {
  readonly #tails = new Map<string, Promise<void>>();

  /** Resolves when the caller holds `key`; dispose the result to let go. */
  async lock(key: string): Promise<Disposable> {
    const before = this.#tails.get(key);
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#tails.set(key, promise);
    await before;
    let held = true;
    return {
      [Symbol.dispose]: () => {
        if (!held) return;
        held = false;
        if (this.#tails.get(key) === promise) this.#tails.delete(key);
        resolve();
      },
    };
  }

  isLocked(key: string): boolean {
    return this.#tails.has(key);
  }
}
