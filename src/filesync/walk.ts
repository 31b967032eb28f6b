// Walks a directory as a sender tells it: depth first, names sorted as bytes, a directory before what is in it. Directories that only
// lead to something are told when the first such thing is. No symlink is followed.

import { lstatSync, readdirSync, readlinkSync, type BigIntStats } from "node:fs";
import { setImmediate as nextTurn } from "node:timers/promises";
import { EngineError, errnoOf } from "../base/errors.ts";
import { followLinks } from "./follow.ts";
import type { EntryType, TreeEntry, WalkOptions } from "./index.ts";
import { comparePaths } from "./path-order.ts";
import { createPathMatcher, type PathMatcher } from "./patterns.ts";

const entriesPerTurn = 512;

/** @throws NotFound `root` is no directory */
export async function* walkTree(root: string, options: WalkOptions): AsyncGenerator<TreeEntry> {
  let count = 0;
  for (const entry of entriesOf(root, options)) {
    yield entry;
    if (++count % entriesPerTurn === 0) await nextTurn();
  }
}

function* entriesOf(root: string, options: WalkOptions): Generator<TreeEntry> {
  const followed = options.followPaths.length === 0 ? undefined : followLinks(root, options.followPaths);
  const isRestricted = options.includePatterns.length > 0 || (followed !== undefined && !followed.includes(""));
  const include = isRestricted ? createPathMatcher([...options.includePatterns, ...(followed ?? [])]) : undefined;
  const exclude = options.excludePatterns.length === 0 ? undefined : createPathMatcher(options.excludePatterns);
  if (lstatSync(root, { throwIfNoEntry: false }) === undefined)
    throw new EngineError("NotFound", `${root}: no such directory`);
  yield* new Walk(root, include, exclude).below("", []);
}

class Walk {
  readonly #root: string;
  readonly #include: PathMatcher | undefined;
  readonly #exclude: PathMatcher | undefined;
  /** First name of every file that has several. */
  readonly #links = new Map<string, string>();

  constructor(root: string, include: PathMatcher | undefined, exclude: PathMatcher | undefined) {
    this.#root = root;
    this.#include = include;
    this.#exclude = exclude;
  }

  /** @param pending directories above that are not told yet, the outermost first; emptied by who tells them */
  *below(directory: string, pending: TreeEntry[]): Generator<TreeEntry> {
    let names: string[];
    try {
      names = readdirSync(`${this.#root}/${directory}`);
    } catch (error) {
      if (directory !== "" && errnoOf(error) === "ENOENT") return;
      throw error;
    }
    for (const name of names.sort(comparePaths)) {
      const path = directory === "" ? name : `${directory}/${name}`;
      const stat = lstatSync(`${this.#root}/${path}`, { bigint: true, throwIfNoEntry: false });
      if (stat === undefined) continue;
      const isTold = this.#isTold(path);
      if (stat.isDirectory()) {
        if (!isTold && !this.#mayTellBelow(path)) continue;
        const waiting = [...pending, this.#entry(path, stat)];
        if (isTold) yield* waiting.splice(0);
        const before = waiting.length;
        yield* this.below(path, waiting);
        if (waiting.length < before || isTold) pending.length = 0;
      } else if (isTold) {
        yield* pending.splice(0);
        yield this.#entry(path, stat);
      }
    }
  }

  #isTold(path: string): boolean {
    return this.#include?.matches(path) !== false && this.#exclude?.matches(path) !== true;
  }

  #mayTellBelow(directory: string): boolean {
    if (this.#exclude?.matches(directory) === true && !this.#exclude.hasExceptions) return false;
    return this.#include === undefined || this.#include.matches(directory) || this.#include.mayMatchBelow(directory);
  }

  #entry(path: string, stat: BigIntStats): TreeEntry {
    const type = typeOf(stat);
    const inode = `${stat.dev}:${stat.ino}`;
    const first = type === "file" && stat.nlink > 1n ? this.#links.get(inode) : undefined;
    if (type === "file" && stat.nlink > 1n && first === undefined) this.#links.set(inode, path);
    const isDevice = type === "char" || type === "block";
    return {
      path,
      type,
      mode: Number(stat.mode & 0o7777n),
      uid: Number(stat.uid),
      gid: Number(stat.gid),
      size: type === "file" ? Number(stat.size) : 0,
      mtimeNs: stat.mtimeNs,
      linkName: type === "symlink" ? readlinkSync(`${this.#root}/${path}`) : (first ?? ""),
      xattrs: {},
      ...(isDevice ? { device: deviceOf(stat.rdev) } : {}),
    };
  }
}

function typeOf(stat: BigIntStats): EntryType {
  if (stat.isFile()) return "file";
  if (stat.isDirectory()) return "directory";
  if (stat.isSymbolicLink()) return "symlink";
  if (stat.isFIFO()) return "fifo";
  if (stat.isSocket()) return "socket";
  return stat.isCharacterDevice() ? "char" : "block";
}

/** Source: makedev(3), gnu_dev_major and gnu_dev_minor. */
function deviceOf(rdev: bigint): { readonly major: number; readonly minor: number } {
  const major = ((rdev >> 8n) & 0xfffn) | ((rdev >> 32n) & ~0xfffn);
  const minor = (rdev & 0xffn) | ((rdev >> 12n) & ~0xffn & 0xffffffffn);
  return { major: Number(major), minor: Number(minor) };
}
