// A duplex whose other side comes later: a client attaches to a container that is not running yet, and is connected to
// the shim before the first process runs. What it writes meanwhile waits (one chunk, then back-pressure).

import { Duplex, type Readable } from "node:stream";

type Done = (error?: Error | null) => void;

/** Reading gives what the target gives, and ends with it; writing goes to the target, or is dropped without stdin. */
export class LateDuplex extends Duplex {
  #target: Duplex | undefined;
  /** What is being read: the target, or what comes before it. */
  #source: Readable | undefined;
  #finished = false;
  #waiting: (() => void) | undefined;
  readonly #forwardsInput: boolean;

  constructor(options: { readonly forwardsInput: boolean }) {
    super({ readableHighWaterMark: 256 << 10, writableHighWaterMark: 64 << 10 });
    this.#forwardsInput = options.forwardsInput;
  }

  get isConnected(): boolean {
    return this.#target !== undefined;
  }

  /**
   * Joins the two; once. A stream that was destroyed meanwhile destroys the target.
   *
   * @param before read to its end first
   */
  connect(target: Duplex, before?: Readable): void {
    if (this.destroyed) {
      target.destroy();
      before?.destroy();
      return;
    }
    this.#target = target;
    target.once("error", () => this.#finish());
    if (before === undefined) this.#readFrom(target);
    else {
      this.#forward(before);
      // A log that cannot be read does not keep the live output back.
      before.once("error", () => before.destroy());
      before.once("close", () => this.#readFrom(target));
    }
    const waiting = this.#waiting;
    this.#waiting = undefined;
    waiting?.();
  }

  #readFrom(target: Duplex): void {
    if (this.destroyed) return;
    this.#forward(target);
    target.once("end", () => this.#finish());
    target.once("close", () => this.#finish());
    if (target.destroyed || target.readableEnded) this.#finish();
  }

  /** Gives what `source` gives and ends; there is no target, and what is written is dropped. */
  replay(source: Readable | undefined): void {
    if (source === undefined) {
      this.#finish();
      return;
    }
    this.#forward(source);
    source.once("error", () => this.#finish());
    source.once("close", () => this.#finish());
  }

  /** The container will not run: the client reads the end. */
  abandon(): void {
    if (this.#target === undefined) this.#finish();
  }

  #forward(source: Readable): void {
    this.#source = source;
    source.on("data", (chunk: Buffer) => {
      if (!this.push(chunk)) source.pause();
    });
  }

  #finish(): void {
    // A shim that died gives an error or a bare close; for the client the output ends here.
    if (this.#finished || this.destroyed) return;
    this.#finished = true;
    this.push(null);
  }

  override _read(): void {
    this.#source?.resume();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: Done): void {
    this.#whenConnected((target) => {
      if (!this.#forwardsInput || target.destroyed || target.writableEnded) done();
      else if (target.write(chunk)) done();
      else {
        const settle = (): void => {
          target.off("drain", settle);
          target.off("close", settle);
          done();
        };
        target.on("drain", settle);
        target.on("close", settle);
      }
    });
  }

  override _final(done: Done): void {
    this.#whenConnected((target) => {
      if (this.#forwardsInput) target.end();
      done();
    });
  }

  override _destroy(error: Error | null, done: Done): void {
    this.#source?.destroy();
    this.#target?.destroy();
    this.#waiting = undefined;
    done(error);
  }

  #whenConnected(act: (target: Duplex) => void): void {
    const target = this.#target;
    if (target !== undefined) act(target);
    else {
      this.#waiting = () => {
        if (this.#target !== undefined) act(this.#target);
      };
    }
  }
}
