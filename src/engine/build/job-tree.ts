// One file of a client's tree, read without ever leaving it: links are followed by the list of entries, not by the kernel, and a link
// that leads out is refused (B09 of docs/security.md).

import { constants } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { join } from "node:path";
import { EngineError, errnoOf } from "../../base/errors.ts";
import type { SourceDirectory, SourceEntry } from "./sources/index.ts";

const maxLinks = 40;
/** A Dockerfile or .dockerignore is never longer. */
const maxFileBytes = 16 * 1024 * 1024;

/** "a/../b" → ["b"]; undefined when it leads out. */
function partsOf(path: string): readonly string[] | undefined {
  const out: string[] = [];
  for (const part of path.split("/")) {
    if (part === "" || part === ".") continue;
    if (part !== "..") out.push(part);
    else if (out.pop() === undefined) return undefined;
  }
  return out;
}

/** @throws Forbidden a link that leads out of the tree */
function resolve(entries: ReadonlyMap<string, SourceEntry>, path: string): SourceEntry | undefined {
  let rest = [...(partsOf(path) ?? refuse(path))];
  let at: string[] = [];
  for (let links = 0; rest.length > 0; ) {
    const [part = "", ...after] = rest;
    const here = [...at, part].join("/");
    const entry = entries.get(here);
    if (entry === undefined) return undefined;
    if (entry.type !== "symlink") {
      [at, rest] = [[...at, part], after];
      continue;
    }
    if (++links > maxLinks) throw new EngineError("InvalidParameter", `${path}: too many levels of symbolic links`);
    if (entry.linkName.startsWith("/")) refuse(path);
    const target = partsOf([...at, entry.linkName].join("/")) ?? refuse(path);
    [at, rest] = [[], [...target, ...after]];
  }
  return entries.get(at.join("/"));
}

function refuse(path: string): never {
  throw new EngineError("Forbidden", `${path} is a symbolic link that leads out of its directory`);
}

/**
 * The text of a file of the tree; undefined when there is none.
 *
 * @throws Forbidden a link that leads out; InvalidParameter no file, or one that is too long
 */
export async function readTreeFile(directory: SourceDirectory, path: string): Promise<string | undefined> {
  const entries = new Map(directory.entries.map((entry) => [entry.path, entry]));
  const entry = resolve(entries, path);
  if (entry === undefined) return undefined;
  if (entry.type === "directory") throw new EngineError("InvalidParameter", `read ${path}: is a directory`);
  if (entry.type !== "file") throw new EngineError("InvalidParameter", `${path} is not a regular file`);
  return readRegular(join(directory.path, entry.path), path);
}

/** The same in a stack of layers, top-most first: nothing there is a link. */
export async function readLayersFile(directories: readonly string[], path: string): Promise<string | undefined> {
  const parts = partsOf(path) ?? refuse(path);
  for (const directory of directories) {
    for (let i = 1; i <= parts.length; i++) {
      try {
        const handle = await openPlain(join(directory, ...parts.slice(0, i)));
        await using _ = handle;
        if (i === parts.length) return await readHandle(handle, path);
      } catch (error) {
        const errno = errnoOf(error);
        if (errno === "ENOENT" || errno === "ENOTDIR") break;
        if (errno === "ELOOP")
          throw new EngineError("Forbidden", `${path} is a symbolic link: the Dockerfile of a download must be a file`);
        throw error;
      }
    }
  }
  return undefined;
}

// oxlint-disable-next-line no-bitwise -- flags of open(2)
const plain = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;

async function openPlain(path: string): Promise<FileHandle> {
  return open(path, plain);
}

async function readRegular(path: string, shown: string): Promise<string> {
  await using handle = await openPlain(path);
  // oxlint-disable-next-line typescript/return-await -- the file is open until it was read
  return await readHandle(handle, shown);
}

async function readHandle(handle: FileHandle, shown: string): Promise<string> {
  const stat = await handle.stat();
  if (!stat.isFile()) throw new EngineError("InvalidParameter", `${shown} is not a regular file`);
  if (stat.size > maxFileBytes)
    throw new EngineError("InvalidParameter", `${shown} is longer than ${maxFileBytes} bytes`);
  return (await handle.readFile()).toString("utf8");
}
