// The key sequence by which a client leaves an attached terminal without ending the process. Default ctrl-p,ctrl-q.
// Source: Engine API 1.51, parameter detachKeys: a single character, or ctrl-<value> with a-z @ [ \ ] ^ _.

import { EngineError } from "../../base/errors.ts";

const controls = "@abcdefghijklmnopqrstuvwxyz[\\]^_";

export const defaultDetachKeys = Buffer.from([16, 17]);

/** @throws InvalidParameter "Invalid detach keys (x) provided"; empty is the default sequence */
export function parseDetachKeys(text: string): Buffer {
  if (text === "") return defaultDetachKeys;
  const codes = text.split(",").map((key) => {
    if (key.length === 1 && key.charCodeAt(0) < 128) return key.charCodeAt(0);
    if (key === "DEL") return 127;
    const control = key.length === 6 && key.startsWith("ctrl-") ? controls.indexOf(key.charAt(5)) : -1;
    if (control < 0) throw new EngineError("InvalidParameter", `Invalid detach keys (${text.slice(0, 256)}) provided`);
    return control;
  });
  return Buffer.from(codes);
}

/** What may go on to the process of what the client typed, and whether the sequence is complete. */
export interface Scanned {
  readonly forward: Buffer;
  readonly detached: boolean;
}

/** Finds the sequence in a stream of chunks; keys that may become one are held back until that is decided. */
export class DetachScanner {
  readonly #keys: Buffer;
  /** Length of the longest proper border of each prefix (Knuth, Morris, Pratt). */
  readonly #border: readonly number[];
  #matched = 0;

  constructor(keys: Buffer) {
    this.#keys = keys;
    const border = [0];
    for (let i = 1, k = 0; i < keys.length; i++) {
      while (k > 0 && keys[i] !== keys[k]) k = border[k - 1] ?? 0;
      if (keys[i] === keys[k]) k++;
      border.push(k);
    }
    this.#border = border;
  }

  scan(chunk: Buffer): Scanned {
    // Most chunks hold nothing of the sequence and pass as they are.
    if (this.#matched === 0 && !chunk.includes(this.#keys[0] ?? 0)) return { forward: chunk, detached: false };
    const before = this.#matched;
    for (let i = 0; i < chunk.length; i++) {
      while (this.#matched > 0 && chunk[i] !== this.#keys[this.#matched])
        this.#matched = this.#border[this.#matched - 1] ?? 0;
      if (chunk[i] === this.#keys[this.#matched]) this.#matched++;
      if (this.#matched === this.#keys.length) {
        this.#matched = 0;
        return { forward: this.#join(before, chunk.subarray(0, i + 1), this.#keys.length), detached: true };
      }
    }
    return { forward: this.#join(before, chunk, this.#matched), detached: false };
  }

  /** Held keys and new ones without the last `held`. */
  #join(before: number, chunk: Buffer, held: number): Buffer {
    const all = before === 0 ? chunk : Buffer.concat([this.#keys.subarray(0, before), chunk]);
    return all.subarray(0, all.length - held);
  }
}
