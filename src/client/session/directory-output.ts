// An output directory: what a build made is put beside what is there. Nothing outside is touched, whatever the daemon tells: a
// directory is a real one, made here or found as such, before anything is put into it.

import {
  chmodSync,
  constants,
  lstatSync,
  lutimesSync,
  mkdirSync,
  rmSync,
  linkSync,
  symlinkSync,
  utimesSync,
} from "node:fs";
import { open, type FileHandle } from "node:fs/promises";
import { EngineError } from "../../base/errors.ts";
import { checkTreePath, parentOf, type TreeEntry, type TreeSink } from "../../filesync/index.ts";

const maxPathBytes = 4095;
const createNew = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;

export class DirectoryOutput implements TreeSink {
  readonly #root: string;
  readonly #told = new Map<string, TreeEntry>();
  readonly #open = new Map<string, FileHandle>();

  constructor(root: string) {
    this.#root = root;
    mkdirSync(root, { recursive: true });
  }

  entry(entry: TreeEntry): boolean {
    const { path } = entry;
    checkTreePath(path, maxPathBytes);
    const parent = parentOf(path);
    if (this.#told.has(path) || (parent !== "" && this.#told.get(parent)?.type !== "directory"))
      throw new EngineError("InvalidParameter", `${JSON.stringify(path)} has no place in the output`);
    this.#told.set(path, entry);
    const at = this.#at(path);
    const there = lstatSync(at, { throwIfNoEntry: false });
    if (entry.type === "directory") {
      if (there?.isDirectory() === true) return false;
      if (there !== undefined) rmSync(at);
      mkdirSync(at, { mode: 0o700 });
      return false;
    }
    if (there !== undefined) rmSync(at, { recursive: true });
    if (entry.type === "file") {
      if (entry.linkName === "") return true;
      // Links of files that came before; their content comes later, into the same file.
      if (this.#told.get(entry.linkName)?.type !== "file")
        throw new EngineError("InvalidParameter", `${JSON.stringify(path)} is a link to nothing in the output`);
      return false;
    }
    if (entry.type !== "symlink")
      throw new EngineError("NotImplemented", `${path} is a ${entry.type}, which an output directory cannot have`);
    symlinkSync(entry.linkName, at);
    lutimesSync(at, secondsOf(entry), secondsOf(entry));
    return false;
  }

  async settle(): Promise<readonly string[]> {
    return [...this.#told.values()]
      .filter(({ type, linkName }) => type === "file" && linkName === "")
      .map(({ path }) => path);
  }

  async write(path: string, chunk: Uint8Array): Promise<void> {
    const file = await this.#file(path);
    for (let done = 0; done < chunk.length; ) done += (await file.write(chunk, done)).bytesWritten;
  }

  async end(path: string): Promise<void> {
    const file = await this.#file(path);
    const entry = this.#told.get(path) as TreeEntry;
    await file.chmod(entry.mode);
    await file.utimes(secondsOf(entry), secondsOf(entry));
    await file.close();
    this.#open.delete(path);
  }

  /** Links, and what directories are like. */
  finish(): void {
    for (const { path, type, linkName } of this.#told.values())
      if (type === "file" && linkName !== "") linkSync(this.#at(linkName), this.#at(path));
    for (const entry of [...this.#told.values()].toReversed()) {
      if (entry.type !== "directory") continue;
      chmodSync(this.#at(entry.path), entry.mode);
      utimesSync(this.#at(entry.path), secondsOf(entry), secondsOf(entry));
    }
  }

  async abandon(): Promise<void> {
    for (const file of this.#open.values()) await file.close();
    this.#open.clear();
  }

  async #file(path: string): Promise<FileHandle> {
    const file = this.#open.get(path) ?? (await open(this.#at(path), createNew, 0o600));
    this.#open.set(path, file);
    return file;
  }

  #at(path: string): string {
    return `${this.#root}/${path}`;
  }
}

function secondsOf(entry: TreeEntry): number {
  return Number(entry.mtimeNs) / 1e9;
}
