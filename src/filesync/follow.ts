// What a list of paths leads to when symlinks in them are followed, inside of the root: the links and their targets, as patterns.
// Source: BuildKit's followpaths.

import { lstatSync, readdirSync, readlinkSync } from "node:fs";
import { posix } from "node:path";
import { escapePattern, regexOf } from "./patterns.ts";

/** A chain of links that is longer is a loop. Source: path_resolution(7), MAXSYMLINKS. */
const maxLinks = 40;

/** @returns patterns of what must come along; "" is everything */
export function followLinks(root: string, paths: readonly string[]): readonly string[] {
  const found = new Set<string>();
  for (const path of paths) {
    const parts = partsOf(path);
    follow(root, [], parts, found, 0);
  }
  return [...found];
}

function follow(
  root: string,
  done: readonly string[],
  rest: readonly string[],
  found: Set<string>,
  links: number,
): void {
  const [part, ...more] = rest;
  if (part === undefined) {
    found.add(escapePattern(done.join("/")));
    return;
  }
  if (/[*?[\\]/.test(part)) {
    for (const name of matchesIn(`${root}/${done.join("/")}`, part)) follow(root, done, [name, ...more], found, links);
    // What matches by no name that is here is told as it stands.
    if (part.includes("**")) found.add([...done.map(escapePattern), part, ...more].join("/"));
    return;
  }
  const path = [...done, part];
  const at = `${root}/${path.join("/")}`;
  const isLink = lstatSync(at, { throwIfNoEntry: false })?.isSymbolicLink() === true;
  if (!isLink || links === maxLinks) {
    follow(root, path, more, found, links);
    return;
  }
  found.add(escapePattern(path.join("/")));
  const target = readlinkSync(at);
  const from = target.startsWith("/") ? [] : done;
  follow(root, [], [...partsOf(posix.join("/", ...from, target)), ...more], found, links + 1);
}

function matchesIn(directory: string, pattern: string): string[] {
  const regex = regexOf(pattern);
  try {
    return readdirSync(directory).filter((name) => regex.test(name));
  } catch {
    return [];
  }
}

function partsOf(path: string): string[] {
  return posix
    .normalize(posix.join("/", path))
    .split("/")
    .filter((part) => part !== "");
}
