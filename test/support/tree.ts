// What a directory tree is, as comparable data: for archives that must extract as tar does, and canaries that must not change.

import { createHash } from "node:crypto";
import { lstatSync, readFileSync, readdirSync, readlinkSync } from "node:fs";

/** path → description; times in seconds with nanoseconds, links by the first path of their inode. */
export type Tree = Readonly<Record<string, string>>;

/** Describes everything below `root`, and `root` itself as ".". Directory sizes are the file system's affair. */
export function describeTree(root: string, options: { readonly directoryTimes?: boolean } = {}): Tree {
  const tree: Record<string, string> = {};
  const inodes = new Map<bigint, string>();
  // Names are bytes: latin1 maps each to one character and back.
  const visit = (path: string): void => {
    const full = Buffer.concat([Buffer.from(`${root}/`), Buffer.from(path, "latin1")]);
    const stat = lstatSync(full, { bigint: true });
    const mode = (Number(stat.mode) & 0o177777).toString(8);
    const owner = `${stat.uid}:${stat.gid}`;
    const time = options.directoryTimes === false && stat.isDirectory() ? "" : ` ${stat.mtimeNs}`;
    let detail = "";
    if (stat.isSymbolicLink()) detail = ` -> ${readlinkSync(full, { encoding: "buffer" }).toString("latin1")}`;
    else if (stat.isFile())
      detail = ` ${stat.size} ${createHash("sha256").update(readFileSync(full)).digest("hex").slice(0, 16)}`;
    else if (stat.isCharacterDevice() || stat.isBlockDevice()) detail = ` dev ${stat.rdev}`;
    if (!stat.isDirectory() && stat.nlink > 1n) {
      const first = inodes.get(stat.ino);
      if (first === undefined) inodes.set(stat.ino, path);
      else detail += ` = ${first}`;
    }
    tree[path] = `${mode} ${owner}${time}${detail}`;
    if (!stat.isDirectory()) return;
    for (const name of readdirSync(full, { encoding: "buffer" })
      .map((name) => name.toString("latin1"))
      .sort())
      visit(path === "." ? name : `${path}/${name}`);
  };
  visit(".");
  return tree;
}
