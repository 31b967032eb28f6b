// Reads a small file of a container's root file system without ever leaving it: every component is opened by descriptor
// and never followed; symbolic links are resolved here, as text, against the root. What is opened is a regular file or
// nothing. Source: open(2) O_PATH, proc_pid_fd(5); path_resolution(7). CVE-2018-15664, CVE-2024-9676, CVE-2026-47262.

import {
  type BigIntStats,
  close,
  closeSync,
  constants,
  fstat,
  fstatSync,
  lstat,
  lstatSync,
  open,
  openSync,
  read,
  readlink,
  readlinkSync,
  readSync,
  type Stats,
  statfs,
  statfsSync,
} from "node:fs";
import { promisify } from "node:util";
import { EngineError, errnoOf } from "../../base/errors.ts";

/** include/uapi/asm-generic/fcntl.h, include/uapi/linux/magic.h */
const openPath = 0o10000000;
const pseudoFileSystems: ReadonlySet<number> = new Set([0x9fa0, 0x62656572, 0x65735546]);
/** linux/namei.h MAXSYMLINKS */
const maxLinks = 40;

/** One directory of the layered root: a descriptor of the same directory in every layer that has it, top first. */
type Directory = readonly number[];

/** The system calls of the walk. */
interface Files {
  open(path: string, flags: number): number | Promise<number>;
  close(fd: number): void | Promise<void>;
  lstat(path: string): Stats | Promise<Stats>;
  fstat(fd: number): BigIntStats | Promise<BigIntStats>;
  readlink(path: string): string | Promise<string>;
  statfs(path: string): { readonly type: number } | Promise<{ readonly type: number }>;
  /** Bytes read into `buffer` from `at` on, which is the file's offset too. */
  read(fd: number, buffer: Buffer, at: number): number | Promise<number>;
}

/** Layers on the host's own disk: a thread for each of these calls costs ten times what the call does. */
const hostFiles: Files = {
  open: openSync,
  close: closeSync,
  lstat: (path) => lstatSync(path),
  fstat: (fd) => fstatSync(fd, { bigint: true }),
  readlink: (path) => readlinkSync(path),
  statfs: (path) => statfsSync(path),
  read: (fd, buffer, at) => readSync(fd, buffer, at, buffer.length - at, at),
};

/** A running container's root: it may have mounted a file system there that never answers. */
const liveFiles: Files = {
  open: promisify(open),
  close: promisify(close),
  lstat: promisify<string, Stats>(lstat),
  fstat: (fd) => fstatAsync(fd, { bigint: true }),
  readlink: promisify<string, string>(readlink),
  statfs: promisify<string, { readonly type: number }>(statfs),
  read: async (fd, buffer, at) => (await readAsync(fd, buffer, at, buffer.length - at, at)).bytesRead,
};
const readAsync = promisify(read);
const fstatAsync = promisify<number, { readonly bigint: true }, BigIntStats>(fstat);

function via(fd: number, name: string): string {
  return `/proc/self/fd/${fd}/${name}`;
}

/** Opens layers and closes all that it opened when disposed. */
class Walk {
  readonly files: Files;
  readonly #opened: number[] = [];

  constructor(files: Files) {
    this.files = files;
  }

  openDirectory(path: string): Promise<number> {
    return this.#open(path, openPath | constants.O_DIRECTORY | constants.O_NOFOLLOW);
  }

  openFile(path: string): Promise<number> {
    return this.#open(path, openPath | constants.O_NOFOLLOW);
  }

  /** What an earlier one of the two found to be a regular file. */
  reopen(path: string): Promise<number> {
    return this.#open(path, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
  }

  async #open(path: string, flags: number): Promise<number> {
    const fd = await this.files.open(path, flags);
    this.#opened.push(fd);
    return fd;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const fd of this.#opened) await this.files.close(fd);
  }
}

type Entry =
  | { readonly kind: "directory"; readonly directory: Directory }
  | { readonly kind: "link"; readonly target: string }
  | { readonly kind: "file"; readonly path: string }
  | undefined;

/** The entry of that name as overlayfs would show it: the top-most one, whiteouts (character device 0:0) hiding the rest. */
async function lookUp(walk: Walk, directory: Directory, name: string): Promise<Entry> {
  const merged: number[] = [];
  for (const layer of directory) {
    const path = via(layer, name);
    let stat;
    try {
      stat = await walk.files.lstat(path);
    } catch (error) {
      if (errnoOf(error) === "ENOENT" || errnoOf(error) === "ENOTDIR") continue;
      throw error;
    }
    if (stat.isDirectory()) {
      merged.push(await walk.openDirectory(path));
      continue;
    }
    if (merged.length > 0) break;
    if (stat.isCharacterDevice() && stat.rdev === 0) return undefined;
    if (stat.isSymbolicLink()) return { kind: "link", target: await walk.files.readlink(path) };
    return { kind: "file", path };
  }
  return merged.length > 0 ? { kind: "directory", directory: merged } : undefined;
}

/** Resolves a path to a file of the layered root; undefined when nothing, or no file, is there. */
async function resolve(walk: Walk, root: Directory, path: string): Promise<string | undefined> {
  const stack: Directory[] = [root];
  const rest = path.split("/").toReversed();
  let links = 0;
  while (rest.length > 0) {
    const name = rest.pop() ?? "";
    if (name === "" || name === ".") continue;
    if (name === "..") {
      if (stack.length > 1) stack.pop();
      continue;
    }
    const entry = await lookUp(walk, stack.at(-1) ?? root, name);
    if (entry === undefined) return undefined;
    if (entry.kind === "directory") stack.push(entry.directory);
    else if (entry.kind === "link") {
      if (++links > maxLinks) return undefined;
      if (entry.target.startsWith("/")) stack.length = 1;
      rest.push(...entry.target.split("/").toReversed());
    } else return rest.every((more) => more === "") ? entry.path : undefined;
  }
  return undefined;
}

/**
 * The first `maxBytes` of a file in a container's root; undefined when there is none.
 *
 * @param roots top-most layer first; for a running container the one directory /proc/<pid>/root (that link is followed),
 *              whose file systems are the container's own and may hang: then nothing waits but the caller
 * @throws InvalidParameter it is there, but no regular file of a real file system
 */
export async function readConfinedFile(
  roots: readonly string[],
  path: string,
  maxBytes: number,
): Promise<Buffer | undefined> {
  return (await readConfined(roots, path, maxBytes))?.content;
}

/**
 * What is at a path of a container's layers, links resolved inside of them. Of a directory that a layer above it hides as a whole
 * "directory" is said all the same, and where links lead round and round.
 *
 * @param layers top-most first, on the host's own disk
 */
export async function confinedKind(layers: readonly string[], path: string): Promise<"file" | "directory" | "nothing"> {
  await using walk = new Walk(hostFiles);
  const root: number[] = [];
  for (const directory of layers) root.push(await walk.openDirectory(`${directory}/.`));
  const stack: Directory[] = [root];
  const rest = path.split("/").toReversed();
  let links = 0;
  while (rest.length > 0) {
    const name = rest.pop() ?? "";
    if (name === "..") stack.pop();
    if (name === "" || name === "." || name === "..") continue;
    const entry = await lookUp(walk, stack.at(-1) ?? root, name);
    if (entry === undefined) return "nothing";
    if (entry.kind === "file") return rest.every((more) => more === "") ? "file" : "nothing";
    if (entry.kind === "directory") {
      stack.push(entry.directory);
      continue;
    }
    if (++links > maxLinks) return "directory";
    if (entry.target.startsWith("/")) stack.length = 0;
    rest.push(...entry.target.split("/").toReversed());
  }
  return "directory";
}

/**
 * Where a path of a container's layers leads: absolute, without links as far as it is there; what is missing stays as it is written.
 *
 * @param layers top-most first, on the host's own disk
 * @returns undefined: too many links
 */
export async function resolveConfinedPath(layers: readonly string[], path: string): Promise<string | undefined> {
  await using walk = new Walk(hostFiles);
  const root: number[] = [];
  for (const directory of layers) root.push(await walk.openDirectory(`${directory}/.`));
  const stack: { readonly name: string; readonly directory: Directory }[] = [];
  const rest = path.split("/").toReversed();
  let links = 0;
  while (rest.length > 0) {
    const name = rest.pop() ?? "";
    if (name === "..") stack.pop();
    if (name === "" || name === "." || name === "..") continue;
    // Below what is missing, or is no directory, nothing can be found.
    const entry = await lookUp(walk, stack.at(-1)?.directory ?? root, name);
    if (entry?.kind !== "link") {
      stack.push({ name, directory: entry?.kind === "directory" ? entry.directory : [] });
      continue;
    }
    if (++links > maxLinks) return undefined;
    if (entry.target.startsWith("/")) stack.length = 0;
    rest.push(...entry.target.split("/").toReversed());
  }
  return `/${stack.map(({ name }) => name).join("/")}`;
}

/** Which file it is, and which state of it. */
export function identityOf(stat: BigIntStats): string {
  return `${stat.dev}:${stat.ino}:${stat.size}:${stat.mtimeNs}:${stat.ctimeNs}`;
}

/** As readConfinedFile, with what tells whether it has been changed since. */
export async function readConfined(
  roots: readonly string[],
  path: string,
  maxBytes: number,
): Promise<{ readonly content: Buffer; readonly identity: string; readonly changedMs: number } | undefined> {
  const files = roots.some((root) => root.startsWith("/proc/")) ? liveFiles : hostFiles;
  await using walk = new Walk(files);
  const root: number[] = [];
  // A trailing slash makes the kernel follow the last component, which only the engine chose.
  for (const directory of roots) root.push(await walk.openDirectory(`${directory}/.`));
  const found = await resolve(walk, root, path);
  if (found === undefined) return undefined;
  const refused = (what: string): EngineError =>
    new EngineError("InvalidParameter", `${path} in the container is ${what}`);
  const fd = await walk.openFile(found);
  const stat = await files.fstat(fd);
  if (!stat.isFile()) throw refused("not a regular file");
  const self = `/proc/self/fd/${fd}`;
  if (pseudoFileSystems.has((await files.statfs(self)).type)) throw refused("on a pseudo file system");
  const reader = await walk.reopen(self);
  // Not `maxBytes` at once: memory outside the heap makes V8 collect all of it.
  let buffer = Buffer.allocUnsafe(Math.min(maxBytes, Number(stat.size) + 1));
  let length = 0;
  for (;;) {
    const bytes = await files.read(reader, buffer, length);
    length += bytes;
    if (bytes === 0 || length === maxBytes) break;
    // It grows while it is read.
    if (length === buffer.length) buffer = Buffer.concat([buffer], Math.min(maxBytes, length * 2));
  }
  return { content: buffer.subarray(0, length), identity: identityOf(stat), changedMs: Number(stat.ctimeMs) };
}
