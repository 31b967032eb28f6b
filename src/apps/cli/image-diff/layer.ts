// Layers as changes of a tree, and what becomes of a tree under them. Contents are hashed while they pass; what stays in memory
// is a small record per file. Source: OCI image-spec 1.1, layer.md (whiteouts, opaque directories, order).

import { createHash } from "node:crypto";
import { type ByteReader, tarEntries } from "./tar-entries.ts";

/** What is compared of a file. */
export interface FileRecord {
  readonly kind: "file" | "directory" | "symlink" | "device" | "fifo";
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: number;
  /** Hash of a file's bytes, a link's target, a device's numbers. */
  readonly content: string;
  readonly mtime: string;
  /** Names and values, "" without. */
  readonly xattrs: string;
}

/** One entry of a layer, in its order. */
export type LayerChange =
  | { readonly do: "put"; readonly path: readonly string[]; readonly record: FileRecord }
  | { readonly do: "link"; readonly path: readonly string[]; readonly target: readonly string[] }
  | { readonly do: "remove" | "clear"; readonly path: readonly string[] };

/** A directory's or file's place in a tree. */
export interface TreeNode {
  record: FileRecord;
  readonly children: Map<string, TreeNode>;
}

const kinds: Readonly<Record<string, FileRecord["kind"]>> = {
  "0": "file",
  "2": "symlink",
  "3": "device",
  "4": "device",
  "5": "directory",
  "6": "fifo",
};
const whiteout = ".wh.";

function split(name: string): readonly string[] {
  const parts = name.split("/").filter((part) => part !== "" && part !== ".");
  if (parts.includes("..")) throw new Error(`the layer names a path outside itself: ${JSON.stringify(name)}`);
  return parts;
}

const unknownDirectory: FileRecord = {
  kind: "directory",
  mode: 0o755,
  uid: 0,
  gid: 0,
  size: 0,
  content: "",
  mtime: "0",
  xattrs: "",
};

/** Reads a layer's tar. @throws Error it is damaged */
export async function readLayer(reader: ByteReader): Promise<readonly LayerChange[]> {
  const changes: LayerChange[] = [];
  for await (const entry of tarEntries(reader)) {
    const path = split(entry.name);
    const base = path.at(-1) ?? "";
    if (base === ".wh..wh..opq") changes.push({ do: "clear", path: path.slice(0, -1) });
    else if (base.startsWith(".wh..wh.")) continue;
    else if (base.startsWith(whiteout))
      changes.push({ do: "remove", path: [...path.slice(0, -1), base.slice(whiteout.length)] });
    else if (entry.type === "1") changes.push({ do: "link", path, target: split(entry.linkName) });
    else {
      const kind = kinds[entry.type];
      if (kind === undefined) continue;
      let content = "";
      if (kind === "file") {
        const hash = createHash("sha256");
        for await (const piece of entry.body()) hash.update(piece);
        content = hash.digest("base64");
      } else if (kind === "symlink") content = entry.linkName;
      else if (kind === "device") content = `${entry.type === "3" ? "c" : "b"} ${entry.major}:${entry.minor}`;
      const { mode, uid, gid, size, mtime } = entry;
      const xattrs =
        entry.xattrs.size === 0 ? "" : JSON.stringify([...entry.xattrs].sort(([a], [b]) => (a < b ? -1 : 1)));
      changes.push({ do: "put", path, record: { kind, mode, uid, gid, size, content, mtime, xattrs } });
    }
  }
  return changes;
}

/** An empty tree. */
export function emptyTree(): TreeNode {
  return { record: unknownDirectory, children: new Map() };
}

function find(root: TreeNode, path: readonly string[]): TreeNode | undefined {
  return path.reduce<TreeNode | undefined>((node, name) => node?.children.get(name), root);
}

function put(root: TreeNode, path: readonly string[], record: FileRecord): void {
  let node = root;
  for (const name of path) {
    let next = node.children.get(name);
    if (next === undefined) node.children.set(name, (next = emptyTree()));
    node = next;
  }
  node.record = record;
  if (record.kind !== "directory") node.children.clear();
}

/**
 * Lays a layer over a tree. Removals are of what lies below, whatever the order of entries.
 *
 * @throws Error a hard link to nothing
 */
export function applyLayer(root: TreeNode, changes: readonly LayerChange[]): void {
  for (const change of changes) {
    if (change.do === "clear") find(root, change.path)?.children.clear();
    if (change.do === "remove") find(root, change.path.slice(0, -1))?.children.delete(change.path.at(-1) ?? "");
  }
  for (const change of changes) {
    if (change.do === "put") put(root, change.path, change.record);
    if (change.do !== "link") continue;
    const target = find(root, change.target);
    if (target === undefined) throw new Error(`the layer links to /${change.target.join("/")}, which is not there`);
    put(root, change.path, target.record);
  }
}
