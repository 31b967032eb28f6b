// What went wrong with a build, as all doors show it: the message, the lines of the Dockerfile, the step with its exit code and last
// output. Found in the chain of causes, whatever layers of the engine it came through.

import { EngineError, isEngineError, messageOf } from "../../base/errors.ts";
import { type Dockerfile, isDockerfileError, type Range } from "./dockerfile/index.ts";
import { StepFailed } from "./exec/index.ts";
import type { Graph } from "./graph/index.ts";
import type { BuildFailure, SourceExcerpt } from "./index.ts";
import type { ProgressLog } from "./progress-log.ts";
import { VertexFailed } from "./solver/index.ts";

/** A failure of one build, with what only that build knows. */
export class BuildFailed extends EngineError {
  readonly facts: Pick<BuildFailure, "source" | "vertex" | "lastOutput" | "command">;

  constructor(cause: unknown, facts: BuildFailed["facts"]) {
    super(isEngineError(cause) ? cause.kind : "Unknown", messageOf(cause), { cause });
    this.facts = facts;
  }
}

/** An error and what caused it, outermost first. */
function chainOf(error: unknown): readonly unknown[] {
  const chain: unknown[] = [];
  for (let one = error; one !== undefined && one !== null && chain.length < 32; ) {
    chain.push(one);
    one = one instanceof Error ? one.cause : undefined;
  }
  return chain;
}

/** Puts the lines of the Dockerfile and the last output to a failure; one that has them already stays as it is. */
export function explainFailure(
  error: unknown,
  dockerfile: Pick<Dockerfile, "filename" | "source"> | undefined,
  graph: Graph | undefined,
  progress: ProgressLog,
): BuildFailed {
  if (error instanceof BuildFailed) return error;
  const chain = chainOf(error);
  const failed = chain.find((one) => one instanceof VertexFailed);
  const vertex = failed === undefined ? undefined : graph?.vertices.get(failed.vertex);
  const located = chain.find(isDockerfileError);
  const ranges: readonly Range[] = located?.ranges ?? vertex?.ranges ?? [];
  const source: SourceExcerpt | undefined =
    dockerfile === undefined || ranges.length === 0
      ? undefined
      : { filename: dockerfile.filename, source: dockerfile.source, ranges };
  return new BuildFailed(error, {
    source,
    vertex: failed?.vertex,
    lastOutput: failed === undefined ? "" : progress.lastOutput(failed.vertex),
    command: vertex?.op.kind === "exec" ? vertex.op.args.join(" ") : undefined,
  });
}

/** What doors show of anything that was thrown. */
export function failureOf(error: unknown): BuildFailure {
  const chain = chainOf(error);
  const facts = chain.find((one) => one instanceof BuildFailed)?.facts;
  const step = chain.find((one) => one instanceof StepFailed);
  return {
    message: messageOf(error),
    source: facts?.source,
    vertex: facts?.vertex ?? chain.find((one) => one instanceof VertexFailed)?.vertex,
    exitCode: step?.exitCode,
    stepId: step?.stepId,
    lastOutput: facts?.lastOutput ?? "",
    command: step === undefined ? undefined : facts?.command,
  };
}
