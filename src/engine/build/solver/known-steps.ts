// What a graph's steps would find in the cache, told without doing anything: sources are not asked, no file is read, nothing is
// held. A plan for people to read; what happens is decided anew when it is built.

import { type Digest, chainIdsOf } from "../../../base/digest.ts";
import type { Graph, Vertex } from "../graph/index.ts";
import type { SolverDeps } from "./index.ts";
import { contentIdOfLayers, contentIdOfSource, isSource, sourceRecordId, stepDefinition, stepKey } from "./keys.ts";

/** A vertex whose record is known: the parts of its dependants' keys. */
interface KnownVertex {
  readonly recordId: string;
  readonly contentId: string;
}

type Deps = Pick<SolverDeps, "records" | "runners" | "layers">;

/** See BuildCache.known. */
export function knownSteps(
  { records, runners, layers }: Deps,
  graph: Graph,
  clampTimes: number | undefined,
): ReadonlyMap<Digest, boolean | undefined> {
  const states = new Map<Digest, boolean | undefined>();
  const known = new Map<Digest, KnownVertex>();
  const find = ({ digest }: Vertex, key: string): boolean => {
    const record = records.find(key);
    if (record === undefined || !layers.has(record.layers)) return false;
    known.set(digest, { recordId: record.id, contentId: contentIdOfLayers(chainIdsOf(record.layers)) });
    return true;
  };
  /** By the definitions of its inputs, or by their contents where nothing of them has to be read. */
  const stateOfStep = (vertex: Vertex): boolean | undefined => {
    const { op, ignoreCache } = vertex;
    if (ignoreCache) return false;
    const inputs = vertex.inputs.map((input) => known.get(input));
    const whole = inputs.filter((input) => input !== undefined);
    if (whole.length < inputs.length)
      return vertex.inputs.some((input) => states.get(input) === false) ? false : undefined;
    const definition = stepDefinition(op, clampTimes);
    const ids = whole.map(({ recordId }) => recordId);
    if (find(vertex, stepKey("definition", definition, ids))) return true;
    if (inputs.some((_, index) => runners[op.kind].selector?.(op, index) !== undefined)) return undefined;
    const contents = whole.map(({ contentId }) => contentId);
    return find(vertex, stepKey("content", definition, contents));
  };
  for (const vertex of graph.vertices.values()) {
    const { digest, op } = vertex;
    if (!isSource(op)) states.set(digest, stateOfStep(vertex));
    else if (op.kind === "image") {
      const recordId = sourceRecordId(op, op.imageId);
      known.set(digest, { recordId, contentId: contentIdOfSource(recordId) });
    } else states.set(digest, undefined);
  }
  return states;
}
