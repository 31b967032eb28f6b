// A tree of a client's files on disk: <n>/fs, with its index beside it. While anybody holds it, it does not change; it stays until
// another has taken its place and nobody holds it.

import { rmSync, utimesSync, statSync } from "node:fs";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { EngineError } from "../../../base/errors.ts";
import { readIndex, writeIndex, type TreeHeader } from "./directories-index.ts";
import type { SourceDirectory, SourceEntry } from "./index.ts";

export class KeptTree {
  /** <n>. */
  readonly directory: string;
  readonly path: string;
  header: TreeHeader;
  /** Builds and transfers that rely on it. */
  holds = 0;
  /** It is the one that the next transfer of its key begins with. */
  isCurrent = false;
  usageCount = 0;
  #entries: readonly SourceEntry[] | undefined;

  constructor(directory: string, header: TreeHeader, entries: readonly SourceEntry[] | undefined) {
    this.directory = directory;
    this.path = join(directory, "fs");
    this.header = header;
    this.#entries = entries;
  }

  /** @throws DataLoss the index is not sound any more */
  entries(): readonly SourceEntry[] {
    this.#entries ??= readIndex(this.#indexPath);
    if (this.#entries === undefined) throw new EngineError("DataLoss", `${this.#indexPath} is malformed`);
    return this.#entries;
  }

  /** They are read again when they are needed. */
  forgetEntries(): void {
    if (this.holds === 0 && this.isCurrent) this.#entries = undefined;
  }

  /** Milliseconds since 1970; undefined while it has no index. */
  get lastUsedAtMs(): number | undefined {
    return statSync(this.#indexPath, { throwIfNoEntry: false })?.mtimeMs;
  }

  markUsed(): void {
    this.usageCount++;
    const now = new Date();
    if (this.isCurrent) utimesSync(this.#indexPath, now, now);
  }

  /** From now on it may change, and it does not count after a crash. */
  unseal(): void {
    rmSync(this.#indexPath, { force: true });
  }

  /** It is complete. @param keep it stays after this build */
  seal(entries: readonly SourceEntry[], keep: boolean): void {
    const bytes = entries.reduce(
      (sum, { type, size, linkName }) => sum + (type === "file" && linkName === "" ? size : 0),
      0,
    );
    this.header = { ...this.header, bytes };
    if (keep) writeIndex(this.#indexPath, this.header, entries);
    this.#entries = entries;
  }

  /** @param onRelease called when nobody holds it any more */
  hold(onRelease: (tree: KeptTree) => Promise<void> | undefined): SourceDirectory {
    this.holds++;
    let held = true;
    return {
      path: this.path,
      entries: this.entries(),
      [Symbol.asyncDispose]: async () => {
        if (!held) return;
        held = false;
        if (--this.holds === 0) await onRelease(this);
      },
    };
  }

  async delete(): Promise<void> {
    this.unseal();
    await rm(this.directory, { recursive: true, force: true });
  }

  get #indexPath(): string {
    return join(this.directory, "index");
  }
}
