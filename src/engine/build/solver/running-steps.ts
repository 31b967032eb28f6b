// Steps that run at this moment, by key: who wants one that runs already waits for it, and hears all that it said. A step is
// stopped when the last of those who wait leaves; nobody joins one that is being stopped.

import type { VertexReporter } from "../progress.ts";
import { cancelled, throwIfAborted } from "./cancelled.ts";

/** One build's share in a running step. */
export interface StepWatcher {
  readonly reporter: VertexReporter;
  onStart(): void;
}

interface Waiter<R> {
  readonly watcher: StepWatcher;
  /** Called the moment the result is there, before the step lets go of it. */
  readonly adopt: (result: R) => Disposable;
  readonly result: PromiseWithResolvers<{ readonly value: R; readonly hold: Disposable }>;
}

/** What a step said last is told to those who come later, up to so many bytes. */
const maxReplayBytes = 2 << 20;
const clipped = Buffer.from("[what the step said before is not kept]\n");

/** One step, and those who wait for it. */
class RunningStep<R> implements VertexReporter {
  readonly digest: string;
  readonly #stop = new AbortController();
  readonly #waiters = new Set<Waiter<R>>();
  readonly #logs: { readonly stream: 1 | 2; readonly data: Uint8Array }[] = [];
  readonly #statuses = new Map<string, readonly [current: number, total: number, done: boolean]>();
  readonly #closed = Promise.withResolvers<void>();
  #logBytes = 0;
  #isClipped = false;
  #started = false;

  constructor(digest: string) {
    this.digest = digest;
  }

  get signal(): AbortSignal {
    return this.#stop.signal;
  }

  /** Resolves when nothing of it runs any more. */
  get closed(): Promise<void> {
    return this.#closed.promise;
  }

  join(watcher: StepWatcher, adopt: (result: R) => Disposable): Waiter<R> {
    const waiter = { watcher, adopt, result: Promise.withResolvers<{ value: R; hold: Disposable }>() };
    waiter.result.promise.catch(() => undefined);
    this.#waiters.add(waiter);
    if (this.#started) watcher.onStart();
    if (this.#isClipped) watcher.reporter.log(2, clipped);
    for (const { stream, data } of this.#logs) watcher.reporter.log(stream, data);
    for (const [id, status] of this.#statuses) watcher.reporter.status(id, ...status);
    return waiter;
  }

  /** @returns true when that was the last one: the step is being stopped */
  leave(waiter: Waiter<R>): boolean {
    if (!this.#waiters.delete(waiter) || this.#waiters.size > 0) return false;
    this.#stop.abort(cancelled());
    return true;
  }

  start(): void {
    this.#started = true;
    for (const { watcher } of this.#waiters) watcher.onStart();
  }

  log(stream: 1 | 2, data: Uint8Array): void {
    this.#logs.push({ stream, data });
    this.#logBytes += data.length;
    while (this.#logBytes > maxReplayBytes && this.#logs.length > 1) {
      this.#logBytes -= this.#logs.shift()?.data.length ?? 0;
      this.#isClipped = true;
    }
    for (const { watcher } of this.#waiters) watcher.reporter.log(stream, data);
  }

  status(id: string, current: number, total: number, done: boolean): void {
    this.#statuses.set(id, [current, total, done]);
    for (const { watcher } of this.#waiters) watcher.reporter.status(id, current, total, done);
  }

  resolve(value: R): void {
    for (const waiter of this.#waiters) waiter.result.resolve({ value, hold: waiter.adopt(value) });
    this.#waiters.clear();
  }

  reject(error: unknown): void {
    for (const waiter of this.#waiters) waiter.result.reject(error);
    this.#waiters.clear();
  }

  close(): void {
    this.#closed.resolve();
  }
}

/** Carries a step out. `started` is called when it has its place and begins. */
export type StepWork<R> = (
  report: VertexReporter,
  started: () => void,
  signal: AbortSignal,
) => Promise<{ readonly value: R; readonly hold: Disposable }>;

/** All steps that run. */
export class RunningSteps<R> {
  readonly #steps = new Map<string, RunningStep<R>>();

  get size(): number {
    return this.#steps.size;
  }

  isRunning(key: string): boolean {
    return this.#steps.has(key);
  }

  /**
   * Takes part in the step of that key, or begins it. When the caller was the last one and leaves, it waits until the step has ended.
   *
   * @param adopt keeps a result for the caller; what it returns is the answer's `hold`
   * @param work  called when nobody runs it
   * @throws what the step threw; Cancelled the signal was aborted
   */
  async run(
    key: string,
    watcher: StepWatcher,
    adopt: (result: R) => Disposable,
    work: StepWork<R>,
    signal: AbortSignal,
  ): Promise<{ readonly value: R; readonly hold: Disposable }> {
    throwIfAborted(signal);
    const known = this.#steps.get(key);
    const step = known ?? new RunningStep<R>(watcher.reporter.digest);
    const waiter = step.join(watcher, adopt);
    if (known === undefined) {
      this.#steps.set(key, step);
      void this.#carryOut(key, step, work);
    }
    const { promise: left, resolve: leave } = Promise.withResolvers<void>();
    const onAbort = (): void => {
      const isLast = step.leave(waiter);
      if (isLast && this.#steps.get(key) === step) this.#steps.delete(key);
      waiter.result.reject(cancelled());
      if (isLast) void step.closed.then(leave);
      else leave();
    };
    signal.addEventListener("abort", onAbort, { once: true });
    try {
      return await waiter.result.promise;
    } catch (error) {
      if (signal.aborted) await left;
      throw error;
    } finally {
      signal.removeEventListener("abort", onAbort);
    }
  }

  async #carryOut(key: string, step: RunningStep<R>, work: StepWork<R>): Promise<void> {
    const end = (): void => {
      if (this.#steps.get(key) === step) this.#steps.delete(key);
    };
    try {
      const { value, hold } = await work(step, () => step.start(), step.signal);
      end();
      step.resolve(value);
      hold[Symbol.dispose]();
    } catch (error) {
      end();
      step.reject(error);
    } finally {
      step.close();
    }
  }
}
