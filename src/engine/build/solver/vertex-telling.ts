// What one build is told of one vertex. A vertex starts once, whatever has to be done for it later; it completes with all of its
// messages bearing the same start, without which buildx's plain printer drops them.

import { nowNs } from "../../../base/time.ts";
import type { Vertex } from "../graph/index.ts";
import type { BuildProgress, TimestampNs, VertexReporter } from "../progress.ts";

export class VertexTelling implements VertexReporter {
  readonly digest: string;
  readonly #progress: BuildProgress;
  readonly #vertex: Vertex;
  readonly #statuses = new Map<string, TimestampNs>();
  #startedAt: TimestampNs | undefined;
  #completedAt: TimestampNs | undefined;

  constructor(progress: BuildProgress, vertex: Vertex) {
    this.digest = vertex.digest;
    this.#progress = progress;
    this.#vertex = vertex;
  }

  get isCompleted(): boolean {
    return this.#completedAt !== undefined;
  }

  /** Work begins, or goes on. */
  start(): void {
    if (this.#startedAt !== undefined && this.#completedAt === undefined) return;
    this.#startedAt ??= nowNs();
    this.#completedAt = undefined;
    this.#tell(false, "");
  }

  complete(): void {
    this.#end(false, "");
  }

  /** Its result was known. */
  cached(): void {
    if (this.isCompleted) return;
    this.#end(true, "");
  }

  failed(error: string): void {
    if (!this.isCompleted) this.#end(false, error);
  }

  /** For those that began, of a build that is stopped. */
  stopped(error: string): void {
    if (this.#startedAt !== undefined) this.failed(error);
  }

  log(stream: 1 | 2, data: Uint8Array): void {
    this.#progress.emit({ kind: "log", vertex: this.digest, stream, data, at: nowNs() });
  }

  status(id: string, current: number, total: number, done: boolean): void {
    const at = nowNs();
    const startedAt = this.#statuses.get(id) ?? at;
    this.#statuses.set(id, startedAt);
    const completedAt = done ? at : undefined;
    this.#progress.emit({ kind: "status", vertex: this.digest, id, current, total, at, startedAt, completedAt });
  }

  #end(cached: boolean, error: string): void {
    this.#startedAt ??= nowNs();
    this.#completedAt = nowNs();
    this.#tell(cached, error);
  }

  #tell(cached: boolean, error: string): void {
    const { name, inputs } = this.#vertex;
    const times = { startedAt: this.#startedAt, completedAt: this.#completedAt };
    this.#progress.emit({ kind: "vertex", vertex: { digest: this.digest, name, inputs, ...times, cached, error } });
  }
}
