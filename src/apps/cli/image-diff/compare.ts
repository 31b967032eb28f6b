// Two trees → what was added, changed and deleted on the way from the first to the second. Pure.

import type { FileRecord, TreeNode } from "./layer.ts";

/** A difference; `what` names what of a changed file is another. */
export interface Difference {
  readonly kind: "A" | "C" | "D";
  readonly path: string;
  readonly what: readonly string[];
}

function changesOf(a: FileRecord, b: FileRecord, times: boolean): readonly string[] {
  if (a.kind !== b.kind) return ["type"];
  const isFile = a.kind === "file";
  return [
    ...(a.content === b.content && (!isFile || a.size === b.size) ? [] : [isFile ? "content" : "target"]),
    ...(a.kind === "symlink" || a.mode === b.mode ? [] : ["mode"]),
    ...(a.uid === b.uid && a.gid === b.gid ? [] : ["owner"]),
    ...(a.xattrs === b.xattrs ? [] : ["xattrs"]),
    ...(times && a.mtime !== b.mtime ? ["time"] : []),
  ];
}

/** Everything in and below a node. */
function* all(node: TreeNode, path: string): Generator<string> {
  yield path;
  for (const [name, child] of node.children) yield* all(child, `${path}/${name}`);
}

function* walk(a: TreeNode, b: TreeNode, path: string, times: boolean): Generator<Difference> {
  const what = changesOf(a.record, b.record, times);
  if (what.length > 0 && path !== "") yield { kind: "C", path, what };
  for (const [name, child] of a.children) {
    const at = `${path}/${name}`;
    const other = b.children.get(name);
    if (other !== undefined) yield* walk(child, other, at, times);
    else for (const gone of all(child, at)) yield { kind: "D", path: gone, what: [] };
  }
  for (const [name, child] of b.children)
    if (!a.children.has(name))
      for (const added of all(child, `${path}/${name}`)) yield { kind: "A", path: added, what: [] };
}

/** Sorted by path. @param times differing modification times count as well */
export function compareTrees(a: TreeNode, b: TreeNode, times: boolean): readonly Difference[] {
  return [...walk(a, b, "", times)].sort((x, y) => (x.path < y.path ? -1 : x.path > y.path ? 1 : 0));
}
