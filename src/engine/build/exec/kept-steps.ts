// Trees of failed steps, kept for a shell: for an hour, and the last twenty of them.

import type { BuildLayers } from "../layers/index.ts";
import type { KeptStep } from "./index.ts";

const keptMs = 60 * 60 * 1000;
const maxKept = 20;

export class KeptSteps implements Disposable {
  readonly #layers: Pick<BuildLayers, "keep">;
  readonly #kept = new Map<
    string,
    { readonly step: KeptStep; readonly hold: Disposable; readonly timer: NodeJS.Timeout }
  >();

  constructor(layers: Pick<BuildLayers, "keep">) {
    this.#layers = layers;
  }

  get(stepId: string): KeptStep | undefined {
    return this.#kept.get(stepId)?.step;
  }

  /** The oldest makes room. */
  add(step: KeptStep): void {
    const [oldest] = this.#kept.keys();
    if (this.#kept.size >= maxKept && oldest !== undefined) this.#drop(oldest);
    const timer = setTimeout(() => this.#drop(step.stepId), keptMs).unref();
    this.#kept.set(step.stepId, { step, hold: this.#layers.keep(step.layers), timer });
  }

  #drop(stepId: string): void {
    const kept = this.#kept.get(stepId);
    this.#kept.delete(stepId);
    clearTimeout(kept?.timer);
    kept?.hold[Symbol.dispose]();
  }

  [Symbol.dispose](): void {
    for (const stepId of this.#kept.keys()) this.#drop(stepId);
  }
}
