// Changes a tree of files of ours to what a client tells. The writer knows all that is on disk, since nobody else writes there:
// a path is only touched below directories that it made itself, so that no symlink is ever followed; a file is replaced by a new one
// and never written to again, because another tree may have the same inode. Small files are written at once: a trip to the thread
// pool for each of their calls costs more than the calls.

import { createHash, hash, type Hash } from "node:crypto";
import {
  chmodSync,
  closeSync,
  constants,
  fchmodSync,
  fchownSync,
  futimesSync,
  lchownSync,
  linkSync,
  lutimesSync,
  mkdirSync,
  openSync,
  rmdirSync,
  symlinkSync,
  unlinkSync,
  utimesSync,
  writeSync,
} from "node:fs";
import { open, type FileHandle } from "node:fs/promises";
import { join } from "node:path";
import { setImmediate as nextTurn } from "node:timers/promises";
import type { Digest } from "../../../base/digest.ts";
import { EngineError } from "../../../base/errors.ts";
import { comparePaths } from "../../../filesync/index.ts";
import { run } from "../../kernel/run.ts";
import type { SourceEntry } from "./index.ts";

/** What comes in one piece, as far as the disk is concerned. */
const smallFileBytes = 256 * 1024;
/** Entries that are dealt with before somebody else gets a turn. */
const entriesPerTurn = 256;
/** Each costs a process. */
const maxSpecialFiles = 1000;
const createNew = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;

export type EntryInit = Omit<SourceEntry, "digest">;

/** A file whose content is coming. */
export interface IncomingFile {
  readonly entry: EntryInit;
  receivedBytes: number;
  /** Content that is not written yet, of a small file. */
  chunks: Uint8Array[];
  large: { readonly handle: FileHandle; readonly hash: Hash } | undefined;
}

export class TreeWriter {
  readonly #root: string;
  /** What is on disk now. */
  readonly #disk: Map<string, SourceEntry>;
  /** What was on disk at the beginning, sorted: a subtree is one stretch of it. */
  readonly #before: readonly SourceEntry[];
  #specialFiles = 0;
  readonly #ownUid = process.geteuid?.() ?? 0;
  readonly #ownGid = process.getegid?.() ?? 0;

  /** @param before what is below `root`, sorted */
  constructor(root: string, before: readonly SourceEntry[]) {
    this.#root = root;
    this.#before = before;
    this.#disk = new Map(before.map((entry) => [entry.path, entry]));
  }

  /** Makes the empty tree at `root` have what is at `from`, by hard links. */
  async clone(from: string, signal: AbortSignal): Promise<void> {
    let count = 0;
    for (const entry of this.#before) {
      if (entry.type === "directory") mkdirSync(this.#at(entry.path), { mode: 0o700 });
      else linkSync(join(from, entry.path), this.#at(entry.path));
      if (++count % entriesPerTurn === 0) await turn(signal);
    }
  }

  /** Directories, symlinks and empty files. */
  put(entry: EntryInit): void {
    const path = this.#at(entry.path);
    if (entry.type === "directory") {
      if (this.#disk.get(entry.path)?.type !== "directory") {
        this.#clear(entry.path);
        mkdirSync(path, { mode: 0o700 });
      }
      this.#disk.set(entry.path, { ...entry, digest: undefined });
    } else if (entry.type === "symlink") {
      this.#clear(entry.path);
      symlinkSync(entry.linkName, path);
      if (this.#isForeign(entry)) lchownSync(path, entry.uid, entry.gid);
      lutimesSync(path, secondsOf(entry), secondsOf(entry));
      this.#disk.set(entry.path, { ...entry, digest: undefined });
    } else this.#createFile(entry, []);
  }

  /** A further name of a file that is there. */
  putLink(entry: EntryInit): void {
    const target = this.#disk.get(entry.linkName);
    if (target?.type !== "file") throw new EngineError("InvalidParameter", `${entry.path}: no file ${entry.linkName}`);
    this.#clear(entry.path);
    linkSync(this.#at(entry.linkName), this.#at(entry.path));
    this.#disk.set(entry.path, { ...entry, size: target.size, digest: target.digest });
  }

  async putSpecial(entry: EntryInit, signal: AbortSignal): Promise<void> {
    if (++this.#specialFiles > maxSpecialFiles)
      throw new EngineError("InvalidParameter", `more than ${maxSpecialFiles} devices and pipes in the build context`);
    this.#clear(entry.path);
    const path = this.#at(entry.path);
    const kind = { fifo: "p", char: "c", block: "b" }[entry.type as "fifo" | "char" | "block"];
    const numbers = entry.type === "fifo" ? [] : [String(entry.device?.major ?? 0), String(entry.device?.minor ?? 0)];
    await run(["mknod", "-m", "0600", "--", path, kind, ...numbers], { signal });
    if (this.#isForeign(entry)) lchownSync(path, entry.uid, entry.gid);
    chmodSync(path, entry.mode);
    utimesSync(path, secondsOf(entry), secondsOf(entry));
    this.#disk.set(entry.path, { ...entry, digest: undefined });
  }

  begin(entry: EntryInit): IncomingFile {
    return { entry, receivedBytes: 0, chunks: [], large: undefined };
  }

  /** @returns undefined when it is done already */
  write(file: IncomingFile, chunk: Uint8Array): Promise<void> | undefined {
    file.receivedBytes += chunk.length;
    if (file.receivedBytes > file.entry.size)
      throw new EngineError(
        "InvalidParameter",
        `${file.entry.path} grew while it was read: more than ${file.entry.size} bytes`,
      );
    if (file.entry.size > smallFileBytes) return this.#writeLarge(file, chunk);
    file.chunks.push(chunk);
    return undefined;
  }

  /** @returns undefined when it is done already */
  end(file: IncomingFile): Promise<void> | undefined {
    if (file.large !== undefined) return this.#endLarge(file, file.large);
    this.#createFile(file.entry, file.chunks);
    file.chunks = [];
    return undefined;
  }

  /** Nothing is left of it. */
  async abandon(file: IncomingFile): Promise<void> {
    if (file.large === undefined) return;
    await file.large.handle.close();
    unlinkSync(this.#at(file.entry.path));
  }

  /** Removes what `isWanted` does not want. */
  async prune(isWanted: (path: string) => boolean, signal: AbortSignal): Promise<void> {
    let count = 0;
    for (const { path } of this.#before.toReversed()) {
      if (isWanted(path) || !this.#disk.has(path)) continue;
      this.#remove(path);
      if (++count % entriesPerTurn === 0) await turn(signal);
    }
  }

  /** Modes and times of directories; after it nothing may be put. @returns what is on disk, sorted */
  complete(): SourceEntry[] {
    const entries = [...this.#disk.values()].sort((a, b) => comparePaths(a.path, b.path));
    for (const entry of entries.toReversed()) {
      if (entry.type !== "directory") continue;
      const path = this.#at(entry.path);
      if (this.#isForeign(entry)) lchownSync(path, entry.uid, entry.gid);
      chmodSync(path, entry.mode);
      utimesSync(path, secondsOf(entry), secondsOf(entry));
    }
    return entries;
  }

  #at(path: string): string {
    return `${this.#root}/${path}`;
  }

  #isForeign(entry: EntryInit): boolean {
    return this.#ownUid === 0 && (entry.uid !== 0 || entry.gid !== this.#ownGid);
  }

  /** What is there goes, with all that is below it. */
  #clear(path: string): void {
    const there = this.#disk.get(path);
    if (there === undefined) return;
    if (there.type === "directory")
      for (const below of this.#below(path)) if (this.#disk.has(below)) this.#remove(below);
    this.#remove(path);
  }

  /** Paths that were below a directory at the beginning, the last one first. Nothing was put there since. */
  #below(directory: string): string[] {
    let low = 0;
    let high = this.#before.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (comparePaths((this.#before[middle] as SourceEntry).path, directory) <= 0) low = middle + 1;
      else high = middle;
    }
    const paths: string[] = [];
    for (let i = low; this.#before[i]?.path.startsWith(`${directory}/`) === true; i++)
      paths.push((this.#before[i] as SourceEntry).path);
    return paths.toReversed();
  }

  #remove(path: string): void {
    if (this.#disk.get(path)?.type === "directory") rmdirSync(this.#at(path));
    else unlinkSync(this.#at(path));
    this.#disk.delete(path);
  }

  #createFile(entry: EntryInit, chunks: readonly Uint8Array[]): void {
    this.#clear(entry.path);
    const data = chunks.length === 1 ? (chunks[0] as Uint8Array) : Buffer.concat(chunks);
    const path = this.#at(entry.path);
    const file = openSync(path, createNew, 0o600);
    try {
      for (let done = 0; done < data.length; ) done += writeSync(file, data, done, data.length - done);
      if (this.#isForeign(entry)) fchownSync(file, entry.uid, entry.gid);
      fchmodSync(file, entry.mode);
      futimesSync(file, secondsOf(entry), secondsOf(entry));
    } catch (error) {
      unlinkSync(path);
      throw error;
    } finally {
      closeSync(file);
    }
    const digest = `sha256:${hash("sha256", data, "hex")}` as Digest;
    this.#disk.set(entry.path, { ...entry, size: data.length, digest });
  }

  async #writeLarge(file: IncomingFile, chunk: Uint8Array): Promise<void> {
    if (file.large === undefined) {
      this.#clear(file.entry.path);
      file.large = { handle: await open(this.#at(file.entry.path), createNew, 0o600), hash: createHash("sha256") };
    }
    const { handle, hash } = file.large;
    hash.update(chunk);
    for (let done = 0; done < chunk.length; )
      done += (await handle.write(chunk, done, chunk.length - done)).bytesWritten;
  }

  async #endLarge(file: IncomingFile, { handle, hash }: NonNullable<IncomingFile["large"]>): Promise<void> {
    const { entry } = file;
    if (this.#isForeign(entry)) await handle.chown(entry.uid, entry.gid);
    await handle.chmod(entry.mode);
    await handle.utimes(secondsOf(entry), secondsOf(entry));
    await handle.close();
    file.large = undefined;
    const digest = `sha256:${hash.digest("hex")}` as Digest;
    this.#disk.set(entry.path, { ...entry, size: file.receivedBytes, digest });
  }
}

/** Gives others a turn. @throws the signal's reason */
export async function turn(signal: AbortSignal): Promise<void> {
  await nextTurn();
  signal.throwIfAborted();
}

function secondsOf(entry: EntryInit): number {
  return Number(entry.mtimeNs) / 1e9;
}
