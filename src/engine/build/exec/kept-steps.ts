// The state before failed steps, kept for a shell: for an hour, and of the last twenty of them. A kept step's id is that of the image
// which its layers and its settings make.

import { type Digest, digestOf, hexOf } from "../../../base/digest.ts";
import type { BuildLayers } from "../layers/index.ts";
import type { KeptStep } from "./index.ts";

const keptMs = 60 * 60 * 1000;
const maxKept = 20;

/** What is kept of a step that failed, before it has an id. */
interface FailedStep extends Pick<KeptStep, "layers" | "env" | "user" | "workingDirectory" | "args"> {
  readonly platform: { readonly os: string; readonly architecture: string; readonly variant?: string };
}

export class KeptSteps implements Disposable {
  readonly #layers: Pick<BuildLayers, "keep">;
  readonly #kept = new Map<
    string,
    { readonly step: KeptStep; readonly hold: Disposable; readonly timer: NodeJS.Timeout }
  >();
  readonly #onDrop: (id: Digest) => void;

  /** @param onDrop called with the image's id of a step that is kept no more */
  constructor(layers: Pick<BuildLayers, "keep">, onDrop: (id: Digest) => void) {
    this.#layers = layers;
    this.#onDrop = onDrop;
  }

  get(stepId: string): KeptStep | undefined {
    return this.#kept.get(stepId)?.step;
  }

  /** The only one whose id begins so. */
  find(prefix: string): KeptStep | undefined {
    const found = [...this.#kept.values()].filter(({ step }) => step.stepId.startsWith(prefix));
    return found.length === 1 ? found[0]?.step : undefined;
  }

  /** The oldest makes room. @returns the step's id: 64 hex digits */
  add(failed: FailedStep): string {
    const { layers, env, user, workingDirectory, args } = failed;
    const configBytes = configOf(failed);
    const stepId = hexOf(digestOf(configBytes));
    const before = this.#kept.get(stepId);
    if (before !== undefined) this.#forget(stepId);
    const [oldest] = this.#kept.keys();
    if (this.#kept.size >= maxKept && oldest !== undefined) this.#drop(oldest);
    const timer = setTimeout(() => this.#drop(stepId), keptMs).unref();
    this.#kept.set(stepId, {
      step: { stepId, configBytes, layers, env, user, workingDirectory, args },
      hold: this.#layers.keep(layers),
      timer,
    });
    return stepId;
  }

  #drop(stepId: string): void {
    const kept = this.#kept.get(stepId);
    if (kept === undefined) return;
    this.#forget(stepId);
    this.#onDrop(digestOf(kept.step.configBytes));
  }

  #forget(stepId: string): void {
    const kept = this.#kept.get(stepId);
    this.#kept.delete(stepId);
    clearTimeout(kept?.timer);
    kept?.hold[Symbol.dispose]();
  }

  [Symbol.dispose](): void {
    for (const stepId of this.#kept.keys()) this.#forget(stepId);
  }
}

/** The same step on the same layers has the same bytes. */
function configOf({ layers, env, user, workingDirectory, args, platform }: FailedStep): Uint8Array {
  const { os, architecture, variant } = platform;
  const config = {
    architecture,
    os,
    ...(variant === undefined ? {} : { variant }),
    config: { Env: env, User: user, WorkingDir: workingDirectory, Cmd: args },
    rootfs: { type: "layers", diff_ids: layers },
    comment: "gantry: the state before a step of a build that failed",
  };
  return Buffer.from(JSON.stringify(config));
}
