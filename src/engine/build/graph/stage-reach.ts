// What a stage reaches in the DAG, and what may not be there: circles, and stages that are read before they stand.

import { DockerfileError } from "../dockerfile/index.ts";
import type { StageNode } from "./stage-node.ts";

/** Everything that is in any of them. */
export function union<T>(sets: readonly ReadonlySet<T>[]): Set<T> {
  return new Set(sets.flatMap((set) => [...set]));
}

/** A stage and all that it needs. */
export function reachableFrom(target: StageNode): Set<StageNode> {
  const found = new Set<StageNode>();
  const waiting = [target];
  for (let node = waiting.pop(); node !== undefined; node = waiting.pop()) {
    if (found.has(node)) continue;
    found.add(node);
    if (node.base !== undefined) waiting.push(node.base);
    for (const { sources } of node.commands) waiting.push(...sources.filter((one) => one !== undefined));
  }
  return found;
}

/** @throws DockerfileError a stage that reads, in the end, itself */
export function refuseCycles(nodes: readonly StageNode[]): void {
  const done = new Set<StageNode>();
  const visit = (node: StageNode, path: ReadonlySet<StageNode>): void => {
    if (done.has(node)) return;
    for (const { sources, range } of node.commands) {
      for (const source of sources) {
        if (source === undefined) continue;
        if (source === node || path.has(source))
          throw new DockerfileError(`circular dependency detected on stage: ${nameOf(source)}`, [range]);
        visit(source, new Set([...path, node]));
      }
    }
    done.add(node);
  };
  for (const node of nodes) visit(node, new Set());
}

/** @throws DockerfileError a stage that is built reads one that stands behind it */
export function refuseForward(nodes: Iterable<StageNode>): void {
  for (const node of nodes) {
    for (const { sources, range } of node.commands) {
      for (const source of sources) {
        if (source?.index === undefined || node.index === undefined || source.index < node.index) continue;
        throw new DockerfileError(
          `cannot copy from stage ${JSON.stringify(nameOf(source))}, it needs to be defined before current stage ${JSON.stringify(nameOf(node))}`,
          [range],
        );
      }
    }
  }
}

function nameOf(node: StageNode): string {
  return node.name === "" ? String(node.index ?? node.baseName) : node.name;
}
