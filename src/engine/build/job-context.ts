// A main context that is not the client's: a repository, or what is at a URL, which is an archive or a Dockerfile.

import { open } from "node:fs/promises";
import { join } from "node:path";
import { EngineError } from "../../base/errors.ts";
import { contextGraph, type LowerOptions, type NamedContext } from "./graph/index.ts";
import type { FrontendRequest } from "./index.ts";
import type { ContextReader } from "./job-definition.ts";
import { readLayersFile, readTreeFile } from "./job-tree.ts";
import type { BuildLayers } from "./layers/index.ts";
import type { Snapshot, Solution } from "./solver/index.ts";
import type { Digest } from "../../base/digest.ts";
import type { Graph } from "./graph/index.ts";

/** The context as it will be lowered, where the Dockerfile is, and how files of the context are read. */
export interface PreparedContext {
  readonly context: NamedContext;
  readonly dockerfile: FrontendRequest["dockerfile"];
  readonly filename: string;
  readonly read: ContextReader;
}

/** Solves vertices and holds them until the build ends. */
export type SolveSome = (graph: Graph, targets: readonly Digest[]) => Promise<Solution>;

const magics: readonly (readonly [offset: number, bytes: readonly number[]])[] = [
  [0, [0x1f, 0x8b]],
  [0, [0x42, 0x5a, 0x68]],
  [0, [0xfd, 0x37, 0x7a, 0x58, 0x5a]],
  [0, [0x28, 0xb5, 0x2f, 0xfd]],
  [257, [0x75, 0x73, 0x74, 0x61, 0x72]],
];

async function isArchive(path: string): Promise<boolean> {
  await using file = await open(path);
  const head = Buffer.alloc(512);
  const { bytesRead } = await file.read(head, 0, head.length, 0);
  return magics.some(
    ([offset, bytes]) =>
      bytesRead >= offset + bytes.length && bytes.every((byte, index) => head[offset + index] === byte),
  );
}

function snapshotOf(solution: Solution, vertex: Digest): Snapshot {
  const solved = solution.get(vertex);
  if (solved === undefined) throw new EngineError("System", "the build context was not solved");
  return solved.snapshot;
}

function reader(snapshot: Snapshot, subdirectory: string, layers: Pick<BuildLayers, "directories">): ContextReader {
  const below = (path: string): string => (subdirectory === "" ? path : `${subdirectory}/${path}`);
  if (snapshot.kind === "directory") return (path) => readTreeFile(snapshot.directory, below(path));
  const directories = layers.directories(snapshot.layers);
  return (path) => readLayersFile(directories, below(path));
}

/** @throws EngineError what fetching it failed with */
export async function prepareContext(
  request: FrontendRequest,
  options: LowerOptions,
  layers: Pick<BuildLayers, "directories">,
  solve: SolveSome,
): Promise<PreparedContext> {
  const { context, dockerfile, filename, contextSubdirectory } = request;
  if (context.kind === "git") {
    const { graph, result } = contextGraph(context, options);
    const snapshot = snapshotOf(await solve(graph, [result]), result);
    return { context, dockerfile, filename, read: reader(snapshot, contextSubdirectory, layers) };
  }
  if (context.kind === "http") {
    const { graph, result, download } = contextGraph(context, options);
    if (download === undefined) throw new EngineError("System", "a download without a vertex");
    const fetched = snapshotOf(await solve(graph, [download]), download);
    if (fetched.kind === "directory" && !(await isArchive(join(fetched.directory.path, context.filename)))) {
      const only: NamedContext = { ...context, unpack: false };
      const read = reader(fetched, "", layers);
      return { context: only, dockerfile: { kind: "context" }, filename: context.filename, read };
    }
    const snapshot = snapshotOf(await solve(graph, [result]), result);
    return { context, dockerfile, filename, read: reader(snapshot, contextSubdirectory, layers) };
  }
  const read: ContextReader = async (path) => {
    throw new EngineError("NotFound", `the build context has no ${path}`);
  };
  return { context, dockerfile, filename, read };
}
