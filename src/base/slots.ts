// A number of places, given in the order of asking. The number may change at any time.

import { EngineError } from "./errors.ts";

export class Slots {
  readonly #limit: () => number;
  readonly #cancelled: () => Error;
  readonly #waiting: (() => void)[] = [];
  #taken = 0;

  /**
   * @param limit     asked anew each time; at least one place there is in any case
   * @param cancelled what is thrown where the signal was aborted before there was a place
   */
  constructor(
    limit: () => number,
    cancelled: () => Error = () => new EngineError("Cancelled", "it was cancelled before its turn came"),
  ) {
    this.#limit = limit;
    this.#cancelled = cancelled;
  }

  get isFull(): boolean {
    return this.#taken >= Math.max(1, this.#limit());
  }

  /** @param onWait called when there is no place at once */
  async take(signal: AbortSignal, onWait: () => void = () => undefined): Promise<Disposable> {
    if (signal.aborted) throw this.#cancelled();
    if (this.isFull || this.#waiting.length > 0) {
      onWait();
      await this.#wait(signal);
    } else this.#taken++;
    let held = true;
    return {
      [Symbol.dispose]: () => {
        if (!held) return;
        held = false;
        this.#taken--;
        this.#admit();
      },
    };
  }

  async #wait(signal: AbortSignal): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<boolean>();
    const admit = (): void => resolve(true);
    const leave = (): void => {
      const at = this.#waiting.indexOf(admit);
      if (at === -1) return;
      this.#waiting.splice(at, 1);
      resolve(false);
    };
    this.#waiting.push(admit);
    signal.addEventListener("abort", leave, { once: true });
    const admitted = await promise;
    signal.removeEventListener("abort", leave);
    if (!admitted) throw this.#cancelled();
  }

  #admit(): void {
    while (!this.isFull) {
      const next = this.#waiting.shift();
      if (next === undefined) return;
      this.#taken++;
      next();
    }
  }
}
