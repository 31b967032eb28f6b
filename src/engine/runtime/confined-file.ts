// Reads a small file of a container's root file system without ever leaving it: every component is opened by descriptor
// and never followed; symbolic links are resolved here, as text, against the root. What is opened is a regular file or
// nothing. Source: open(2) O_PATH, proc_pid_fd(5); path_resolution(7). CVE-2018-15664, CVE-2024-9676, CVE-2026-47262.

import { constants } from "node:fs";
import { lstat, open, readlink, statfs } from "node:fs/promises";
import type { FileHandle } from "node:fs/promises";
import { EngineError, errnoOf } from "../../base/errors.ts";

/** include/uapi/asm-generic/fcntl.h, include/uapi/linux/magic.h */
const openPath = 0o10000000;
const pseudoFileSystems: ReadonlySet<number> = new Set([0x9fa0, 0x62656572, 0x65735546]);
/** linux/namei.h MAXSYMLINKS */
const maxLinks = 40;

/** One directory of the layered root: the same directory in every layer that has it, top first. */
type Directory = readonly FileHandle[];

function via(handle: FileHandle, name: string): string {
  return `/proc/self/fd/${handle.fd}/${name}`;
}

/** Opens layers and closes all that it opened when disposed. */
class Walk {
  readonly #opened: FileHandle[] = [];

  async openDirectory(path: string): Promise<FileHandle> {
    return this.#keep(await open(path, openPath | constants.O_DIRECTORY | constants.O_NOFOLLOW));
  }

  async openFile(path: string): Promise<FileHandle> {
    return this.#keep(await open(path, openPath | constants.O_NOFOLLOW));
  }

  #keep(handle: FileHandle): FileHandle {
    this.#opened.push(handle);
    return handle;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#opened.map((handle) => handle.close()));
  }
}

type Entry =
  | { readonly kind: "directory"; readonly directory: Directory }
  | { readonly kind: "link"; readonly target: string }
  | { readonly kind: "file"; readonly path: string }
  | undefined;

/** The entry of that name as overlayfs would show it: the top-most one, whiteouts (character device 0:0) hiding the rest. */
async function lookUp(walk: Walk, directory: Directory, name: string): Promise<Entry> {
  const merged: FileHandle[] = [];
  for (const layer of directory) {
    const path = via(layer, name);
    let stat;
    try {
      stat = await lstat(path);
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
    if (stat.isSymbolicLink()) return { kind: "link", target: await readlink(path) };
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
 * @param roots top-most layer first; for a running container the one directory /proc/<pid>/root (that link is followed)
 * @throws InvalidParameter it is there, but no regular file of a real file system
 */
export async function readConfinedFile(
  roots: readonly string[],
  path: string,
  maxBytes: number,
): Promise<Buffer | undefined> {
  await using walk = new Walk();
  const root: FileHandle[] = [];
  // A trailing slash makes the kernel follow the last component, which only the engine chose.
  for (const directory of roots) root.push(await walk.openDirectory(`${directory}/.`));
  const found = await resolve(walk, root, path);
  if (found === undefined) return undefined;
  const refused = (what: string): EngineError =>
    new EngineError("InvalidParameter", `${path} in the container is ${what}`);
  const handle = await walk.openFile(found);
  if (!(await handle.stat()).isFile()) throw refused("not a regular file");
  const self = `/proc/self/fd/${handle.fd}`;
  if (pseudoFileSystems.has((await statfs(self)).type)) throw refused("on a pseudo file system");
  await using reader = await open(self, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
  const buffer = Buffer.allocUnsafe(maxBytes);
  let length = 0;
  while (length < maxBytes) {
    const { bytesRead } = await reader.read(buffer, length, maxBytes - length, length);
    if (bytesRead === 0) break;
    length += bytesRead;
  }
  return buffer.subarray(0, length);
}
