// A pull reader over chunks: what tar and the detection of formats read from. Holds one chunk at a time.

import { EngineError } from "../../base/errors.ts";

/** Reads an async sequence of chunks by the byte. Not for two readers at once. */
export class ByteSource {
  readonly #chunks: AsyncIterator<Uint8Array>;
  #chunk: Uint8Array = new Uint8Array(0);
  #ended = false;
  #failure: { readonly error: unknown } | undefined;

  constructor(chunks: AsyncIterable<Uint8Array>) {
    this.#chunks = chunks[Symbol.asyncIterator]();
  }

  /** At least one and at most `max` bytes, uncopied; undefined at the end. */
  async some(max: number): Promise<Uint8Array | undefined> {
    if (!(await this.#fill())) return undefined;
    const bytes = this.#chunk.subarray(0, max);
    this.#chunk = this.#chunk.subarray(bytes.length);
    return bytes;
  }

  /**
   * Exactly `size` bytes; undefined at the end of the input.
   *
   * @throws InvalidParameter "unexpected EOF": the input ends within them
   */
  async exactly(size: number): Promise<Uint8Array | undefined> {
    if (!(await this.#fill())) return undefined;
    if (this.#chunk.length >= size) return this.some(size);
    const whole = new Uint8Array(size);
    for (let at = 0; at < size; ) {
      const bytes = await this.some(size - at);
      if (bytes === undefined) throw unexpectedEnd();
      whole.set(bytes, at);
      at += bytes.length;
    }
    return whole;
  }

  /** Up to `size` bytes from the front, which stay there; fewer only at the end. */
  async peek(size: number): Promise<Uint8Array> {
    while (this.#chunk.length < size && !this.#ended) {
      const next = await this.#next();
      if (next !== undefined) this.#chunk = this.#chunk.length === 0 ? next : Buffer.concat([this.#chunk, next]);
    }
    return this.#chunk.subarray(0, size);
  }

  /** The rest, as chunks. */
  async *rest(): AsyncGenerator<Uint8Array> {
    for (let bytes = await this.some(Infinity); bytes !== undefined; bytes = await this.some(Infinity)) yield bytes;
  }

  /** Lets go of the input. */
  async close(): Promise<void> {
    this.#ended = true;
    await this.#chunks.return?.();
  }

  async #fill(): Promise<boolean> {
    while (this.#chunk.length === 0) {
      if (this.#ended) return false;
      this.#chunk = (await this.#next()) ?? this.#chunk;
    }
    return true;
  }

  /** A failure stays: what broke off must not look like an end to the next reader. */
  async #next(): Promise<Uint8Array | undefined> {
    if (this.#failure !== undefined) throw this.#failure.error;
    try {
      const next = await this.#chunks.next();
      if (next.done !== true) return next.value;
      this.#ended = true;
      return undefined;
    } catch (error) {
      this.#failure = { error };
      throw error;
    }
  }
}

/** Go's text, which Docker's clients know. */
export function unexpectedEnd(): EngineError {
  return new EngineError("InvalidParameter", "unexpected EOF");
}
