// Things that somebody relies upon for a moment: whoever wants to take one away waits until nobody does.

interface Hold {
  count: number;
  readonly released: PromiseWithResolvers<void>;
}

export class Holds<Key> {
  readonly #holds = new Map<Key, Hold>();

  /** Several may hold the same. Dispose once or more often. */
  hold(key: Key): Disposable {
    const hold = this.#holds.get(key) ?? { count: 0, released: Promise.withResolvers<void>() };
    this.#holds.set(key, hold);
    hold.count++;
    let held = true;
    return {
      [Symbol.dispose]: () => {
        if (!held) return;
        held = false;
        if (--hold.count > 0) return;
        this.#holds.delete(key);
        hold.released.resolve();
      },
    };
  }

  isHeld(key: Key): boolean {
    return this.#holds.has(key);
  }

  /** Resolves when nobody holds it; somebody else may do so again at once. */
  async released(key: Key): Promise<void> {
    await this.#holds.get(key)?.released.promise;
  }
}
