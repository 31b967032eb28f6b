// All events of one build, kept for those who subscribe late, within bounds: what a step writes is clipped, of a status only the last is kept,
// and of all output no more than a fixed number of bytes.

import { nowNs } from "../../base/time.ts";
import { messageOf } from "../../base/errors.ts";
import type { BuildEvent, BuildProgress, TimestampNs, VertexReporter } from "./progress.ts";

/** Bytes of output of one vertex; what is beyond is dropped, as BuildKit does. */
const maxVertexLogBytes = 2 * 1024 * 1024;
const clipped = Buffer.from("[output clipped, log limit 2MiB reached]\n");
/** Bytes of output that are kept for late subscribers. */
const maxKeptLogBytes = 16 * 1024 * 1024;
/** Bytes of a vertex's last output, for messages. */
const maxTailBytes = 8 * 1024;
/** Events that wait for one subscriber; who is slower than that loses output, never vertices. */
const maxQueued = 20_000;

interface Subscriber {
  queue: BuildEvent[];
  /** Place of the last status of a name in `queue`. */
  statuses: Map<string, number>;
  wake: () => void;
}

function statusKey(event: BuildEvent): string | undefined {
  return event.kind === "status" ? `${event.vertex} ${event.id}` : undefined;
}

/** Counts of a build, for its record. */
export interface ProgressCounts {
  readonly totalSteps: number;
  readonly cachedSteps: number;
  readonly completedSteps: number;
  readonly warnings: number;
}

export class ProgressLog implements BuildProgress {
  #events: (BuildEvent | undefined)[] = [];
  readonly #statuses = new Map<string, number>();
  readonly #written = new Map<string, number>();
  readonly #tails = new Map<string, Buffer>();
  readonly #vertices = new Map<string, { readonly cached: boolean; readonly completed: boolean }>();
  readonly #subscribers = new Set<Subscriber>();
  #keptLogBytes = 0;
  #oldestLog = 0;
  #warnings = 0;
  #closed = false;

  emit(event: BuildEvent): void {
    if (this.#closed) return;
    const told = event.kind === "log" ? this.#clip(event) : event;
    if (told === undefined) return;
    if (told.kind === "warning") this.#warnings++;
    if (told.kind === "vertex")
      this.#vertices.set(told.vertex.digest, {
        cached: told.vertex.cached,
        completed: told.vertex.completedAt !== undefined,
      });
    this.#keep(told);
    for (const subscriber of this.#subscribers) deliver(subscriber, told);
  }

  async vertex<T>(
    vertex: { readonly digest: string; readonly name: string; readonly inputs?: readonly string[] },
    work: (report: VertexReporter) => Promise<T>,
  ): Promise<T> {
    const { digest, name, inputs = [] } = vertex;
    const startedAt = nowNs();
    const tell = (completedAt: TimestampNs | undefined, error: string): void =>
      this.emit({ kind: "vertex", vertex: { digest, name, inputs, startedAt, completedAt, cached: false, error } });
    const statuses = new Map<string, TimestampNs>();
    tell(undefined, "");
    try {
      const result = await work({
        digest,
        log: (stream, data) => this.emit({ kind: "log", vertex: digest, stream, data, at: nowNs() }),
        status: (id, current, total, done) => {
          const at = nowNs();
          const began = statuses.get(id) ?? at;
          statuses.set(id, began);
          const completedAt = done ? at : undefined;
          this.emit({ kind: "status", vertex: digest, id, current, total, at, startedAt: began, completedAt });
        },
      });
      tell(nowNs(), "");
      return result;
    } catch (error) {
      tell(nowNs(), messageOf(error));
      throw error;
    }
  }

  async *subscribe(signal: AbortSignal): AsyncGenerator<readonly BuildEvent[]> {
    const subscriber: Subscriber = {
      queue: this.#events.filter((event) => event !== undefined),
      statuses: new Map(),
      wake: () => undefined,
    };
    this.#subscribers.add(subscriber);
    const wake = (): void => subscriber.wake();
    signal.addEventListener("abort", wake, { once: true });
    try {
      while (!signal.aborted) {
        if (subscriber.queue.length > 0) {
          const events = subscriber.queue;
          subscriber.queue = [];
          subscriber.statuses.clear();
          yield events;
          continue;
        }
        if (this.#closed) return;
        await new Promise<void>((resolve) => {
          subscriber.wake = resolve;
        });
      }
    } finally {
      signal.removeEventListener("abort", wake);
      this.#subscribers.delete(subscriber);
    }
  }

  close(): void {
    this.#closed = true;
    for (const subscriber of this.#subscribers) subscriber.wake();
  }

  /** Everything that is kept. */
  events(): readonly BuildEvent[] {
    return this.#events.filter((event) => event !== undefined);
  }

  /** The last of what a vertex wrote. */
  lastOutput(vertex: string): string {
    const tail = this.#tails.get(vertex);
    if (tail === undefined) return "";
    const text = tail.toString("utf8");
    const cut = tail.length >= maxTailBytes ? text.indexOf("\n") + 1 : 0;
    return text.slice(cut);
  }

  counts(): ProgressCounts {
    const vertices = [...this.#vertices.values()];
    return {
      totalSteps: vertices.length,
      cachedSteps: vertices.filter(({ cached }) => cached).length,
      completedSteps: vertices.filter(({ completed }) => completed).length,
      warnings: this.#warnings,
    };
  }

  #keep(event: BuildEvent): void {
    const key = statusKey(event);
    const at = key === undefined ? undefined : this.#statuses.get(key);
    if (at !== undefined) {
      this.#events[at] = event;
      return;
    }
    if (key !== undefined) this.#statuses.set(key, this.#events.length);
    this.#events.push(event);
    if (event.kind !== "log") return;
    this.#keptLogBytes += event.data.length;
    while (this.#keptLogBytes > maxKeptLogBytes && this.#oldestLog < this.#events.length) {
      const oldest = this.#events[this.#oldestLog];
      if (oldest?.kind === "log") {
        this.#keptLogBytes -= oldest.data.length;
        this.#events[this.#oldestLog] = undefined;
      }
      this.#oldestLog++;
    }
  }

  /** What of it is told; undefined when the vertex has written all that it may. */
  #clip(event: Extract<BuildEvent, { readonly kind: "log" }>): BuildEvent | undefined {
    const before = this.#tails.get(event.vertex) ?? Buffer.alloc(0);
    this.#tails.set(event.vertex, Buffer.concat([before, event.data]).subarray(-maxTailBytes));
    const written = this.#written.get(event.vertex) ?? 0;
    if (written >= maxVertexLogBytes) return undefined;
    this.#written.set(event.vertex, written + event.data.length);
    const left = maxVertexLogBytes - written;
    if (event.data.length < left) return event;
    return { ...event, data: Buffer.concat([event.data.subarray(0, left), clipped]) };
  }
}

function deliver(subscriber: Subscriber, event: BuildEvent): void {
  const key = statusKey(event);
  const at = key === undefined ? undefined : subscriber.statuses.get(key);
  if (at !== undefined) subscriber.queue[at] = event;
  else if (event.kind !== "log" || subscriber.queue.length < maxQueued) {
    if (key !== undefined) subscriber.statuses.set(key, subscriber.queue.length);
    subscriber.queue.push(event);
  }
  subscriber.wake();
}

/** Events of one build. */
export function createBuildProgress(): ProgressLog {
  return new ProgressLog();
}
