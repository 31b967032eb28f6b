// A graph for those who build upon its images from another session: local directories get names that say whose they are.

import type { Digest } from "../../../base/digest.ts";
import type { Graph, ImageDraft, Vertex } from "./index.ts";
import { vertexDigest } from "./vertex.ts";

/** The same graph and images with every local op's name replaced; digests follow. */
export function renameDirectories(
  graph: Graph,
  images: readonly ImageDraft[],
  rename: (name: string) => string,
): { readonly graph: Graph; readonly images: readonly ImageDraft[] } {
  const renamed = new Map<Digest, Digest>();
  const of = (digest: Digest): Digest => renamed.get(digest) ?? digest;
  const vertices = new Map<Digest, Vertex>();
  for (const vertex of graph.vertices.values()) {
    const op = vertex.op.kind === "local" ? { ...vertex.op, name: rename(vertex.op.name) } : vertex.op;
    const inputs = vertex.inputs.map(of);
    const digest = vertexDigest(op, inputs);
    renamed.set(vertex.digest, digest);
    vertices.set(digest, { ...vertex, op, inputs, digest });
  }
  return {
    graph: { vertices },
    images: images.map((image) => ({
      ...image,
      result: image.result === undefined ? undefined : of(image.result),
      history: image.history.map((draft) => ({
        ...draft,
        vertex: draft.vertex === undefined ? undefined : of(draft.vertex),
      })),
    })),
  };
}
