// How many steps run at once, over all builds; in the order of asking. The number may change at any time.

import { EngineError } from "../../../base/errors.ts";

export class StepSlots {
  readonly #limit: () => number;
  readonly #waiting: (() => void)[] = [];
  #taken = 0;

  /** @param limit 0: no bound; asked anew for every step */
  constructor(limit: () => number) {
    this.#limit = limit;
  }

  get #isFull(): boolean {
    const limit = this.#limit();
    return limit > 0 && this.#taken >= limit;
  }

  /** @throws Cancelled the signal was aborted before there was a place */
  async take(signal: AbortSignal): Promise<Disposable> {
    throwIfAborted(signal);
    if (this.#isFull || this.#waiting.length > 0) await this.#wait(signal);
    else this.#taken++;
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
    if (!admitted) throwIfAborted(signal);
  }

  #admit(): void {
    while (!this.#isFull) {
      const next = this.#waiting.shift();
      if (next === undefined) return;
      this.#taken++;
      next();
    }
  }
}

/** The text that progress printers show as "CANCELED". */
export const canceledText = "context canceled";

export function cancelled(): EngineError {
  return new EngineError("Cancelled", canceledText);
}

/** @throws Cancelled */
export function throwIfAborted(signal: AbortSignal): void {
  if (signal.aborted) throw cancelled();
}
