// A build's progress in the words of the classic builder: numbered steps in the order of the Dockerfile, whatever runs at the same
// time. The step that is next to be told speaks at once; the others wait for their turn. Source: dockerd 28.5's output.

import type { ProgressMessage } from "../../api/ports.ts";
import type { BuildEvent, PlannedStep, VertexProgress } from "../progress.ts";

const red = "\u001B[91m";
const reset = "\u001B[0m";

interface StepState {
  readonly step: PlannedStep;
  headed: boolean;
  running: boolean;
}

/** What a vertex has said and not been able to tell yet. */
interface VertexState {
  vertex: VertexProgress | undefined;
  readonly output: string[];
}

export class ClassicRenderer {
  readonly #tell: (message: ProgressMessage) => void;
  readonly #quiet: boolean;
  readonly #steps: StepState[] = [];
  readonly #vertices = new Map<string, VertexState>();
  readonly #decoders = new Map<string, TextDecoder>();
  #next = 0;

  /** @param quiet nothing but what `finish` tells */
  constructor(tell: (message: ProgressMessage) => void, quiet: boolean) {
    this.#tell = tell;
    this.#quiet = quiet;
  }

  event(event: BuildEvent): void {
    switch (event.kind) {
      case "plan":
        this.#steps.push(...event.steps.map((step) => ({ step, headed: false, running: false })));
        break;
      case "vertex":
        this.#of(event.vertex.digest).vertex = event.vertex;
        break;
      case "log":
        this.#of(event.vertex).output.push(this.#text(event.vertex, event.stream, event.data));
        break;
      case "warning":
        this.#stream(`[Warning] ${event.short}\n`);
        return;
      case "status":
        return;
    }
    this.#advance();
  }

  /** Tells of the step that failed, whose turn may not have come. */
  fail(): void {
    this.#advance();
    for (let at = this.#next + 1; at < this.#steps.length; at++) {
      const state = this.#steps[at];
      const error = state?.step.vertex === undefined ? "" : this.#vertices.get(state.step.vertex)?.vertex?.error;
      if (state === undefined || (error ?? "") === "") continue;
      this.#next = at;
      this.#tellStep(state);
      return;
    }
  }

  success(imageId: string | undefined, tags: readonly string[]): void {
    this.#advance();
    if (imageId === undefined) return;
    if (this.#quiet) {
      this.#tell({ stream: `${imageId}\n` });
      return;
    }
    this.#tell({ aux: { ID: imageId } });
    this.#stream(`Successfully built ${short(imageId)}\n`);
    for (const tag of tags) this.#stream(`Successfully tagged ${tag}\n`);
  }

  /** Tells as far as the steps have come, in their order. */
  #advance(): void {
    for (let state = this.#steps[this.#next]; state !== undefined; state = this.#steps[this.#next]) {
      if (!this.#tellStep(state)) return;
      this.#next++;
    }
  }

  /** @returns whether the step is done */
  #tellStep(state: StepState): boolean {
    const { step } = state;
    const known = step.vertex === undefined ? undefined : this.#vertices.get(step.vertex);
    const vertex = known?.vertex;
    const began = vertex !== undefined && (vertex.startedAt !== undefined || vertex.cached);
    if (step.vertex !== undefined && !began) return false;
    if (!state.headed) {
      state.headed = true;
      this.#stream(`Step ${this.#next + 1}/${this.#steps.length} : ${step.instruction}\n`);
    }
    if (vertex === undefined) return true;
    const id = short(vertex.digest);
    if (!vertex.cached && !state.running && step.instruction.toUpperCase().startsWith("RUN")) {
      state.running = true;
      this.#stream(` ---> Running in ${id}\n`);
    }
    for (const text of known?.output.splice(0) ?? []) this.#stream(text);
    if (vertex.error !== "" || vertex.completedAt === undefined) return false;
    if (vertex.cached) this.#stream(" ---> Using cache\n");
    if (state.running) this.#stream(` ---> Removed intermediate container ${id}\n`);
    this.#stream(` ---> ${id}\n`);
    return true;
  }

  #of(digest: string): VertexState {
    let state = this.#vertices.get(digest);
    if (state === undefined) {
      state = { vertex: undefined, output: [] };
      this.#vertices.set(digest, state);
    }
    return state;
  }

  /** Characters may be cut between two pieces. */
  #text(vertex: string, stream: 1 | 2, data: Uint8Array): string {
    const key = `${stream}${vertex}`;
    let decoder = this.#decoders.get(key);
    if (decoder === undefined) {
      decoder = new TextDecoder();
      this.#decoders.set(key, decoder);
    }
    const text = decoder.decode(data, { stream: true });
    return stream === 2 && text !== "" ? `${red}${text}${reset}` : text;
  }

  #stream(text: string): void {
    if (!this.#quiet && text !== "") this.#tell({ stream: text });
  }
}

/** The twelve digits that docker shows. */
function short(digest: string): string {
  return digest.replace(/^sha256:/, "").slice(0, 12);
}
