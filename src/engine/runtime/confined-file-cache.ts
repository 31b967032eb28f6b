// Remembers the small files that are read from running containers again and again: /etc/passwd and /etc/group at every exec.
// A walk to one takes a dozen trips to the thread pool, a look at whether it is still the same file takes one.

import { stat } from "node:fs/promises";
import { identityOf, readConfined } from "./confined-file.ts";

const maxFiles = 128;
const maxFileBytes = 16 << 10;
/** A file that was changed so recently could change again without a new time. */
const settledMs = 2_000;

interface Remembered {
  readonly identity: string;
  readonly content: Buffer;
}

export class ConfinedFileCache {
  readonly #files = new Map<string, Remembered>();

  /** As readConfinedFile; what is remembered is given only while device, inode, size and both times are the same. */
  async read(roots: readonly string[], path: string, maxBytes: number): Promise<Buffer | undefined> {
    const [root = ""] = roots;
    const key = `${root}${path}`;
    const known = this.#files.get(key);
    if (known !== undefined && (await identityNow(key)) === known.identity) return known.content;
    this.#files.delete(key);
    const found = await readConfined(roots, path, maxBytes);
    if (found === undefined) return undefined;
    const isLive = roots.length === 1 && root.startsWith("/proc/");
    const isSettled = Date.now() - found.changedMs > settledMs;
    if (isLive && isSettled && found.content.length <= Math.min(maxFileBytes, maxBytes - 1)) {
      for (const oldest of this.#files.keys()) {
        if (this.#files.size < maxFiles) break;
        this.#files.delete(oldest);
      }
      this.#files.set(key, { identity: found.identity, content: found.content });
    }
    return found.content;
  }
}

/**
 * Links are followed here, wherever a container has laid them: nothing is read, and whatever is not the very file that the
 * confined walk found leads to another walk.
 */
async function identityNow(path: string): Promise<string | undefined> {
  try {
    return identityOf(await stat(path, { bigint: true }));
  } catch {
    return undefined;
  }
}
