// Contexts that come in a request of their own: `remote=upload-request` waits for the request whose buildid names it. Either may
// come first.

import { once } from "node:events";
import type { Readable } from "node:stream";
import { EngineError } from "../../../base/errors.ts";

/** How long one of the two waits for the other. */
const meetWithinMs = 5_000;

interface Meeting {
  readonly offered: PromiseWithResolvers<Readable>;
  readonly taken: PromiseWithResolvers<void>;
  isAwaited: boolean;
  isOffered: boolean;
}

export class Uploads {
  readonly #meetings = new Map<string, Meeting>();
  readonly #meetWithinMs: number;

  constructor(withinMs = meetWithinMs) {
    this.#meetWithinMs = withinMs;
  }

  /**
   * Brings the context of a build. Resolves when it was read.
   *
   * @throws NotFound no build asked for it in time
   * @throws Conflict it was brought already
   */
  async offer(id: string, body: Readable, signal: AbortSignal): Promise<void> {
    const meeting = this.#meeting(id);
    if (meeting.isOffered) throw new EngineError("Conflict", `the upload of the build ${id} has come already`);
    meeting.isOffered = true;
    meeting.offered.resolve(body);
    try {
      const missing = new EngineError("NotFound", `no build waits for the upload ${JSON.stringify(id)}`);
      await this.#within(meeting.taken.promise, missing, signal);
    } finally {
      this.#meetings.delete(id);
    }
    if (!body.closed) await once(body, "close", { signal });
  }

  /** @throws Deadline it did not come in time; Conflict another build waits for it */
  async take(id: string, signal: AbortSignal): Promise<Readable> {
    if (id === "") throw new EngineError("InvalidParameter", "remote=upload-request needs a buildid");
    const meeting = this.#meeting(id);
    if (meeting.isAwaited) throw new EngineError("Conflict", `the build ${id} waits for its upload already`);
    meeting.isAwaited = true;
    try {
      const missing = new EngineError("Deadline", "the build context was announced and did not come");
      const body = await this.#within(meeting.offered.promise, missing, signal);
      meeting.taken.resolve();
      return body;
    } finally {
      this.#meetings.delete(id);
    }
  }

  #meeting(id: string): Meeting {
    let meeting = this.#meetings.get(id);
    if (meeting === undefined) {
      meeting = {
        offered: Promise.withResolvers(),
        taken: Promise.withResolvers(),
        isAwaited: false,
        isOffered: false,
      };
      this.#meetings.set(id, meeting);
    }
    return meeting;
  }

  async #within<T>(what: Promise<T>, missing: EngineError, signal: AbortSignal): Promise<T> {
    const { promise, reject } = Promise.withResolvers<never>();
    const timer = setTimeout(() => reject(missing), this.#meetWithinMs);
    const abort = (): void => reject(new EngineError("Cancelled", "the build was cancelled"));
    if (signal.aborted) abort();
    signal.addEventListener("abort", abort, { once: true });
    try {
      return await Promise.race([what, promise]);
    } finally {
      clearTimeout(timer);
      signal.removeEventListener("abort", abort);
    }
  }
}
