// Decodes the chunked transfer coding, as many chunks at once as have arrived: a daemon that flushes after each line of a
// log sends a chunk per line, and a turn of the event loop per chunk would cost more than everything else.
// Source: RFC 9112, section 7.1.

const newline = 0x0a;
const maxLine = 64 * 1024;

function hexDigit(byte: number): number {
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30;
  const letter = byte | 0x20;
  return letter >= 0x61 && letter <= 0x66 ? letter - 0x57 : -1;
}

/** An incremental decoder; it keeps no payload, only the state between two pushes. */
export class ChunkedDecoder {
  #state: "size" | "extension" | "data" | "data end" | "trailer" | "done" = "size";
  #size = 0;
  #digits = 0;
  /** Bytes left of a chunk, or seen of a line that carries nothing. */
  #count = 0;

  /** True when the last chunk and the trailer have come. */
  get isDone(): boolean {
    return this.#state === "done";
  }

  /**
   * The payload that `bytes` carry, in pieces of `bytes` itself.
   *
   * @throws Error the coding is malformed, or a line is longer than 64 KiB
   */
  push(bytes: Buffer): Buffer[] {
    const pieces: Buffer[] = [];
    let at = 0;
    while (at < bytes.length && this.#state !== "done") {
      if (this.#state === "data") {
        const take = Math.min(this.#count, bytes.length - at);
        pieces.push(bytes.subarray(at, at + take));
        at += take;
        this.#count -= take;
        if (this.#count === 0) this.#state = "data end";
      } else {
        this.#takeLineByte(bytes[at] ?? 0);
        at += 1;
      }
    }
    return pieces;
  }

  #takeLineByte(byte: number): void {
    if (this.#state === "size") {
      const digit = hexDigit(byte);
      if (digit >= 0) {
        this.#size = this.#size * 16 + digit;
        this.#digits += 1;
        if (this.#digits > 12) throw new Error("malformed chunked encoding: chunk too large");
        return;
      }
      if (this.#digits === 0) throw new Error("malformed chunked encoding");
      this.#state = "extension";
      this.#count = 0;
    }
    if (byte !== newline) {
      if (byte !== 0x0d) this.#count += 1;
      if (this.#count > maxLine) throw new Error("malformed chunked encoding: line too long");
      if (this.#state === "data end" && this.#count > 0) throw new Error("malformed chunked encoding");
      return;
    }
    this.#endLine();
  }

  #endLine(): void {
    if (this.#state === "extension") {
      this.#state = this.#size === 0 ? "trailer" : "data";
      this.#count = this.#size;
    } else if (this.#state === "data end") this.#state = "size";
    // A trailer ends with an empty line.
    else if (this.#count === 0) this.#state = "done";
    else this.#count = 0;
    this.#size = 0;
    this.#digits = 0;
  }
}
