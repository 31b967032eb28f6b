// A build's progress in the words of the classic builder: numbered steps in the order of the Dockerfile, whatever runs at the same
// time. The step that is next to be told speaks at once; the others wait for their turn. Source: dockerd 28.5's output.

import type { ProgressMessage } from "../../api/ports.ts";
import type { BuildEvent, PlannedStep, VertexProgress } from "../progress.ts";

const red = "\u001B[91m";
const reset = "\u001B[0m";
/** Messages of a quiet build that are kept in case it fails: the last ones. */
const maxUnsaid = 10_000;

export interface ClassicRendering {
  /** The image's id and nothing else; everything after all when the build fails. */
  readonly quiet: boolean;
  /** Whether steps that succeeded, and steps that failed, are told to be removed. */
  readonly remove: boolean;
  readonly forceRemove: boolean;
}

interface StepState {
  readonly step: PlannedStep;
  /** Among those of the file, from 1; triggers have none. */
  readonly number: number | undefined;
  /** Behind a FROM. */
  readonly triggers: number;
  headed: boolean;
  running: boolean;
}

/** What a vertex has said and not been able to tell yet. */
interface VertexState {
  vertex: VertexProgress | undefined;
  readonly output: string[];
}

export class ClassicRenderer {
  readonly #sink: (message: ProgressMessage) => void;
  readonly #options: ClassicRendering;
  /** What a quiet build did not say. */
  readonly #unsaid: ProgressMessage[] = [];
  readonly #steps: StepState[] = [];
  readonly #vertices = new Map<string, VertexState>();
  readonly #decoders = new Map<string, TextDecoder>();
  readonly #warnings: string[] = [];
  #next = 0;

  constructor(tell: (message: ProgressMessage) => void, options: ClassicRendering) {
    this.#sink = tell;
    this.#options = options;
  }

  /** Whether the steps are known: what fails before has no number. */
  get isPlanned(): boolean {
    return this.#steps.length > 0;
  }

  event(event: BuildEvent): void {
    switch (event.kind) {
      case "plan":
        this.#steps.push(...numbered(event.steps));
        break;
      case "vertex":
        this.#of(event.vertex.digest).vertex = event.vertex;
        break;
      case "log":
        this.#of(event.vertex).output.push(this.#text(event.vertex, event.stream, event.data));
        break;
      case "warning":
        this.#warnings.push(`[Warning] ${event.short}\n`);
        return;
      case "status":
        return;
    }
    this.#advance();
  }

  /**
   * Tells of the step that failed, whose turn may not have come.
   *
   * @returns its instruction; undefined when it was none of them
   */
  fail(): string | undefined {
    this.#advance();
    const failed = this.#steps.findIndex(
      ({ step }, at) => at >= this.#next && this.#vertices.get(step.vertex ?? "")?.vertex?.error,
    );
    const state = this.#steps[failed];
    if (state !== undefined) {
      this.#next = failed;
      this.#tellStep(state);
      if (state.running && this.#options.forceRemove) this.#tellRemoved(state.step.vertex ?? "");
    }
    for (const message of this.#unsaid.splice(0)) this.#sink(message);
    return state?.step.instruction;
  }

  /** A step that failed before any was planned. */
  heading(number: number, total: number, instruction: string): void {
    this.#stream(`Step ${number}/${total} : ${instruction}`);
    this.#stream("\n");
  }

  /** @param unusedBuildArgs names that no ARG of the Dockerfile takes, sorted */
  success(imageId: string | undefined, tags: readonly string[], unusedBuildArgs: readonly string[]): void {
    this.#advance();
    if (imageId === undefined) return;
    if (this.#options.quiet) {
      this.#sink({ stream: `${imageId}\n` });
      return;
    }
    this.#tell({ aux: { ID: imageId } });
    if (unusedBuildArgs.length > 0)
      this.#stream(`[Warning] One or more build-args [${unusedBuildArgs.join(" ")}] were not consumed\n`);
    for (const warning of this.#warnings) this.#stream(warning);
    this.#stream(`Successfully built ${short(imageId)}\n`);
    for (const tag of tags) this.#stream(`Successfully tagged ${tag}\n`);
  }

  /** Names that ARG instructions of the plan declare. */
  declaredArgs(): ReadonlySet<string> {
    const names = this.#steps.flatMap(({ step }) =>
      /^ARG\s/i.test(step.instruction)
        ? [...step.instruction.matchAll(/\s([A-Za-z_]\w*)/g)].map(([, name]) => name)
        : [],
    );
    return new Set(names.filter((name) => name !== undefined));
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
    const isFrom = /^FROM\s/i.test(step.instruction);
    if (!state.headed) {
      state.headed = true;
      const total = this.#steps.filter(({ number }) => number !== undefined).length;
      if (state.number !== undefined) this.heading(state.number, total, step.instruction);
      if (state.triggers > 0)
        this.#stream(`# Executing ${state.triggers} build trigger${state.triggers === 1 ? "" : "s"}\n`);
    }
    if (vertex === undefined) {
      if (isFrom && state.triggers === 0) this.#stream(" ---> \n");
      return true;
    }
    if (!vertex.cached && !state.running && /^RUN\s/i.test(step.instruction)) {
      state.running = true;
      this.#stream(` ---> Running in ${short(vertex.digest)}\n`);
    }
    for (const text of known?.output.splice(0) ?? []) this.#stream(text);
    if (vertex.error !== "" || vertex.completedAt === undefined) return false;
    if (vertex.cached && !isFrom) this.#stream(" ---> Using cache\n");
    if (state.running && this.#options.remove) this.#tellRemoved(vertex.digest);
    if (state.triggers === 0) this.#stream(` ---> ${short(step.imageId ?? vertex.digest)}\n`);
    return true;
  }

  #tellRemoved(vertex: string): void {
    this.#stream(` ---> Removed intermediate container ${short(vertex)}\n`);
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
    if (text !== "") this.#tell({ stream: text });
  }

  #tell(message: ProgressMessage): void {
    if (!this.#options.quiet) this.#sink(message);
    else if (this.#unsaid.push(message) > maxUnsaid) this.#unsaid.shift();
  }
}

function numbered(steps: readonly PlannedStep[]): readonly StepState[] {
  let number = 0;
  return steps.map((step, at) => {
    const isTrigger = step.isTrigger === true;
    if (!isTrigger) number++;
    const next = steps.findIndex((other, index) => index > at && other.isTrigger !== true);
    const triggers = isTrigger ? 0 : (next < 0 ? steps.length : next) - at - 1;
    return { step, number: isTrigger ? undefined : number, triggers, headed: false, running: false };
  });
}

/** The twelve digits that docker shows. */
function short(digest: string): string {
  return digest.replace(/^sha256:/, "").slice(0, 12);
}
