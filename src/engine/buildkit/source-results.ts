// A source alone as a result: bake reads its files from a repository, a download, or the client's directory.

import { digestOf } from "../../base/digest.ts";
import { codes, GrpcError } from "../../grpc/index.ts";
import type { GitOp, HttpOp, LocalOp } from "../build/graph/index.ts";
import { canonicalJson } from "../build/graph/index.ts";
import type { JobContext } from "../build/solver/index.ts";
import type { BuildkitDeps } from "./index.ts";
import type { OpenSolve, Result } from "./solves.ts";

export async function solveSource(
  deps: BuildkitDeps,
  solve: OpenSolve,
  op: GitOp | HttpOp | LocalOp,
  signal: AbortSignal,
): Promise<Result> {
  if (op.kind === "local") {
    const { name, includePatterns, excludePatterns, followPaths } = op;
    const digest = digestOf(canonicalJson(op));
    const directory = await solve.job.progress.vertex({ digest, name: `[internal] load ${name}` }, (report) =>
      solve.client.syncDirectory(
        name,
        {
          includePatterns,
          excludePatterns,
          followPaths,
          progress: (bytes) => report.status(`transferring ${name}:`, bytes, 0, false),
        },
        signal,
      ),
    );
    solve.held.push(directory);
    return { kind: "directory", directory, context: { kind: "local", name } };
  }
  const runner = deps.runners?.[op.kind];
  if (runner === undefined) throw new GrpcError(codes.unimplemented, `sources of kind ${op.kind} are not supported`);
  const job: JobContext = {
    ref: solve.ref,
    client: solve.client,
    progress: solve.job.progress,
    entitlements: new Set(),
    clampTimes: undefined,
    keepFailed: false,
  };
  const digest = digestOf(canonicalJson(op));
  const name = op.kind === "git" ? op.remote : op.url;
  const vertex = { digest, op, inputs: [], name: `[internal] load ${name}`, ranges: [], ignoreCache: false };
  const snapshot = await solve.job.progress.vertex({ digest, name: vertex.name }, async (report) => {
    await runner.key(op, job, signal);
    return runner.run(op, [], { job, vertex, report }, signal);
  });
  if (snapshot.kind !== "directory")
    throw new GrpcError(codes.unimplemented, `files of ${name} cannot be read: its source is kept as layers`);
  solve.held.push(snapshot.directory);
  const context =
    op.kind === "git"
      ? ({ kind: "git", remote: op.remote, ref: op.ref, subdirectory: op.subdirectory } as const)
      : ({ kind: "http", url: op.url, filename: op.filename } as const);
  return { kind: "directory", directory: snapshot.directory, context };
}
