// Files of a source that was solved. Links are followed by the list of its entries, never by the kernel.

import { constants } from "node:fs";
import { open } from "node:fs/promises";
import { join } from "node:path";
import { codes, GrpcError, type MessageInit } from "../../grpc/index.ts";
import type { Stat } from "../../spec/buildkit/fsutil.ts";
import { createIgnoreMatcher } from "../build/dockerfile/index.ts";
import type { SourceDirectory, SourceEntry } from "../build/sources/index.ts";

const maxLinks = 40;
/** What fits into a message. */
const maxReadBytes = 15 * 1024 * 1024;
/** Bits of Go's os.FileMode beside the permissions. */
const goBits: Readonly<Record<SourceEntry["type"], number>> = {
  file: 0,
  directory: 2 ** 31,
  symlink: 2 ** 27,
  fifo: 2 ** 25,
  socket: 2 ** 24,
  block: 2 ** 26,
  char: 2 ** 26 + 2 ** 21,
};

/** @param range of bytes; undefined is all of it @throws GrpcError notFound; resourceExhausted it is too long */
export async function readFile(
  directory: SourceDirectory,
  path: string,
  range: { readonly Offset: number; readonly Length: number } | undefined,
): Promise<Uint8Array> {
  const entry = resolve(directory, path);
  if (entry?.type !== "file") throw notFound("open", path);
  const offset = Math.max(0, range?.Offset ?? 0);
  const rest = Math.max(0, entry.size - offset);
  const length = range === undefined || range.Length <= 0 ? rest : Math.min(range.Length, rest);
  if (length > maxReadBytes)
    throw new GrpcError(
      codes.resourceExhausted,
      `${path} has ${length} bytes: more than ${maxReadBytes} cannot be read at once`,
    );
  // oxlint-disable-next-line no-bitwise -- flags of open(2)
  await using file = await open(join(directory.path, entry.path), constants.O_RDONLY | constants.O_NOFOLLOW);
  const { buffer, bytesRead } = await file.read(Buffer.alloc(length), 0, length, offset);
  return buffer.subarray(0, bytesRead);
}

export function statFile(directory: SourceDirectory, path: string): MessageInit<typeof Stat> {
  if (partsOf(path).length === 0) return { path: "/", mode: goBits.directory + 0o755 };
  const entry = resolve(directory, path);
  if (entry === undefined) throw notFound("stat", path);
  return renderStat(entry);
}

export function listDirectory(
  directory: SourceDirectory,
  path: string,
  includePattern: string,
): readonly MessageInit<typeof Stat>[] {
  const parts = partsOf(path);
  const root = parts.length === 0 ? "" : resolve(directory, path)?.path;
  if (root === undefined) throw notFound("open", path);
  const prefix = root === "" ? "" : `${root}/`;
  const matcher = includePattern === "" ? undefined : createIgnoreMatcher([includePattern]);
  return directory.entries
    .filter((entry) => entry.path.startsWith(prefix) && !entry.path.slice(prefix.length).includes("/"))
    .filter((entry) => matcher?.ignores(entry.path.slice(prefix.length)) ?? true)
    .map(renderStat);
}

function renderStat(entry: SourceEntry): MessageInit<typeof Stat> {
  return {
    path: entry.path.split("/").at(-1) ?? entry.path,
    mode: goBits[entry.type] + (entry.mode % 0o1000) + specialBits(entry.mode),
    uid: entry.uid,
    gid: entry.gid,
    size: entry.size,
    modTime: entry.mtimeNs,
    linkname: entry.linkName,
  };
}

/** setuid 23, setgid 22, sticky 20. */
function specialBits(mode: number): number {
  const bit = (mask: number): boolean => Math.floor(mode / mask) % 2 === 1;
  return (bit(0o4000) ? 2 ** 23 : 0) + (bit(0o2000) ? 2 ** 22 : 0) + (bit(0o1000) ? 2 ** 20 : 0);
}

function partsOf(path: string): readonly string[] {
  const parts: string[] = [];
  for (const part of path.split("/")) {
    if (part === "..") parts.pop();
    else if (part !== "" && part !== ".") parts.push(part);
  }
  return parts;
}

function resolve(directory: SourceDirectory, path: string): SourceEntry | undefined {
  const entries = new Map(directory.entries.map((entry) => [entry.path, entry]));
  let parts = partsOf(path);
  for (let links = 0; links <= maxLinks; links++) {
    const at = parts.findIndex((_part, i) => entries.get(parts.slice(0, i + 1).join("/"))?.type === "symlink");
    if (at < 0) return entries.get(parts.join("/"));
    const target = entries.get(parts.slice(0, at + 1).join("/"))?.linkName ?? "";
    const base = target.startsWith("/") ? "" : parts.slice(0, at).join("/");
    parts = partsOf([base, target, ...parts.slice(at + 1)].join("/"));
  }
  throw new GrpcError(codes.invalidArgument, `${path}: too many levels of symbolic links`);
}

function notFound(what: string, path: string): GrpcError {
  return new GrpcError(codes.notFound, `${what} ${path}: no such file or directory`);
}
