// A directory that files of an archive are written in, and nowhere else: every part of a name is opened below the one before it,
// by descriptor (/proc/self/fd/N/part) and without following links. So neither links of the archive nor somebody who renames
// directories meanwhile lead out of it. Names are bytes (latin1). Source: openat(2), proc_pid_fd(5).

import { closeSync, constants, lstatSync, mkdirSync, openSync } from "node:fs";
import { errnoOf } from "../../../base/errors.ts";
import { CliError } from "../command.ts";
import { pathOfBytes } from "./pack.ts";

const openFlags = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW;

/** A file's name in a directory that is open. */
export interface Place {
  readonly directoryFd: number;
  readonly name: string;
  readonly path: string | Buffer;
}

/** The directory; disposing closes it. It holds two descriptors at most. */
export class Destination implements Disposable {
  readonly #root: number;
  readonly #shown: string;
  /** The directory that was used last, which the next file is mostly in. */
  #fd: number;
  #parts: readonly string[] = [];

  /** @param path of a directory, itself reached over links where there are some. @throws Error of the file system */
  constructor(path: string) {
    this.#shown = path;
    this.#root = openSync(path, constants.O_RDONLY | constants.O_DIRECTORY);
    this.#fd = this.#root;
  }

  [Symbol.dispose](): void {
    this.#leave();
    closeSync(this.#root);
  }

  #leave(): void {
    if (this.#fd !== this.#root) closeSync(this.#fd);
    this.#fd = this.#root;
    this.#parts = [];
  }

  /** A name as people read it. */
  show(parts: readonly string[]): string {
    return `${this.#shown.replace(/\/+$/, "")}/${Buffer.from(parts.join("/"), "latin1").toString("utf8")}`;
  }

  #openPart(part: string, parts: readonly string[]): number {
    const path = pathOfBytes(`/proc/self/fd/${this.#fd}/${part}`);
    for (;;) {
      try {
        return openSync(path, openFlags);
      } catch (error) {
        if (errnoOf(error) === "ENOTDIR" || errnoOf(error) === "ELOOP")
          throw new CliError(`cannot write below ${JSON.stringify(this.show(parts))}: it is no directory`);
        if (errnoOf(error) !== "ENOENT") throw error;
      }
      mkdirSync(path, 0o755);
    }
  }

  /** Opens a directory, made where it is missing; the descriptor is this object's, good until the next call. */
  enter(parts: readonly string[]): number {
    const isBelow = this.#parts.length <= parts.length && this.#parts.every((part, index) => part === parts[index]);
    if (!isBelow) this.#leave();
    for (let depth = this.#parts.length; depth < parts.length; depth += 1) {
      const reached = parts.slice(0, depth + 1);
      const fd = this.#openPart(parts[depth] ?? "", reached);
      if (this.#fd !== this.#root) closeSync(this.#fd);
      this.#fd = fd;
      this.#parts = reached;
    }
    return this.#fd;
  }

  /** Where a file is, its directory open. @param parts at least one */
  place(parts: readonly string[]): Place {
    const directoryFd = this.enter(parts.slice(0, -1));
    const name = parts.at(-1) ?? "";
    return { directoryFd, name, path: pathOfBytes(`/proc/self/fd/${directoryFd}/${name}`) };
  }

  /** A descriptor of a file's directory that is the caller's to close. */
  openParent(parts: readonly string[]): number {
    return openSync(`/proc/self/fd/${this.enter(parts.slice(0, -1))}`, constants.O_RDONLY | constants.O_DIRECTORY);
  }
}

/** Whether there is something at a place, and whether it is a directory. */
export function lookAt({ path }: Place): "nothing" | "directory" | "other" {
  const stat = lstatSync(path, { throwIfNoEntry: false });
  if (stat === undefined) return "nothing";
  return stat.isDirectory() ? "directory" : "other";
}
