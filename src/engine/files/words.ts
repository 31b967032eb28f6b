// What gantry-archive is asked, and what it prints (shim/archive.c): words of a command line, and words that end with NUL.

import { EngineError } from "../../base/errors.ts";
import type { ChangeKind, FileRoot, PathChange, PathStat } from "./index.ts";

const changeKinds: ReadonlyMap<string, ChangeKind> = new Map([
  ["A", "added"],
  ["C", "modified"],
  ["D", "deleted"],
]);
const statWords = 5;

/** ROOT. @param writable whether files are to be made in it */
export function rootWords(root: FileRoot, writable: boolean): readonly string[] {
  switch (root.kind) {
    case "live":
      return ["live", String(root.pid), root.startTime];
    case "directory":
      return ["directory", root.path, writable ? "rw" : "ro"];
    case "stopped": {
      const { upper, work, lower } = root.dirs;
      const mounts = root.mounts.flatMap(({ source, subpath, target, readOnly }) => [
        source,
        subpath,
        target,
        readOnly ? "ro" : "rw",
      ]);
      return [
        "stopped",
        root.readOnly ? "ro" : "rw",
        upper,
        work,
        String(lower.length),
        ...lower,
        String(root.mounts.length),
        ...mounts,
      ];
    }
  }
}

/** @throws InvalidParameter a word cannot hold a NUL: what follows it would be another path */
export function checkPath(path: string): string {
  if (path.includes("\0")) throw new EngineError("InvalidParameter", "a path must not contain NUL bytes");
  return path;
}

/** What stands in front of a tar, and where that begins; undefined while it is not complete. */
export function parseStat(bytes: Buffer): { readonly stat: PathStat; readonly end: number } | undefined {
  const words: string[] = [];
  let start = 0;
  while (words.length < statWords) {
    const end = bytes.indexOf(0, start);
    if (end < 0) return undefined;
    words.push(bytes.toString("utf8", start, end));
    start = end + 1;
  }
  const [size = "", mode = "", modified = "", name = "", linkTarget = ""] = words;
  const stat = { name, sizeBytes: Number(size), mode: Number(mode), modifiedNs: BigInt(modified), linkTarget };
  return { stat, end: start };
}

/** By path. */
export function parseChanges(bytes: Buffer): readonly PathChange[] {
  const changes: PathChange[] = [];
  for (let start = 0, end; start < bytes.length; start = end + 1) {
    end = bytes.indexOf(0, start);
    const kind = changeKinds.get(bytes.toString("latin1", start, start + 1));
    if (kind === undefined || end < 0) throw new EngineError("System", "gantry-archive gave a damaged answer");
    changes.push({ path: bytes.toString("utf8", start + 1, end), kind });
  }
  return changes.toSorted((a, b) => (a.path < b.path ? -1 : a.path > b.path ? 1 : 0));
}
