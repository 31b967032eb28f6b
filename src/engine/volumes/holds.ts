// Volumes that containers are being made of: a removal waits for them. A hold lasts as long as a container's creation.

interface Hold {
  count: number;
  readonly released: PromiseWithResolvers<void>;
}

export class VolumeHolds {
  readonly #holds = new Map<string, Hold>();

  hold(name: string): Disposable {
    const hold = this.#holds.get(name) ?? { count: 0, released: Promise.withResolvers<void>() };
    this.#holds.set(name, hold);
    hold.count++;
    let held = true;
    return {
      [Symbol.dispose]: () => {
        if (!held) return;
        held = false;
        if (--hold.count > 0) return;
        this.#holds.delete(name);
        hold.released.resolve();
      },
    };
  }

  isHeld(name: string): boolean {
    return this.#holds.has(name);
  }

  /** Resolves when nobody holds the volume; somebody else may do so again at once. */
  async released(name: string): Promise<void> {
    await this.#holds.get(name)?.released.promise;
  }
}
