// The graph of a context alone, for those who look into it before the Dockerfile is known. Its vertices are those that the build will have.

import type { Digest } from "../../../base/digest.ts";
import { Emitter } from "./emitter.ts";
import type { Graph, LowerOptions, NamedContext } from "./index.ts";

/** `result` is its tree; `download` the vertex that only fetches, of one at a URL. */
export function contextGraph(
  context: NamedContext,
  options: LowerOptions,
): { readonly graph: Graph; readonly result: Digest; readonly download: Digest | undefined } {
  const emitter = new Emitter(options, new Map());
  const { result } = emitter.context(context, "", options.buildPlatform, []);
  const download = [...emitter.vertices.values()].find(({ op }) => op.kind === "http")?.digest;
  return { graph: emitter.graph, result, download };
}
