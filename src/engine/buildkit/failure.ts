// Failures of builds as buildx reads them: the text, the lines of the Dockerfile, the vertex. What buildx prints in front of the
// text ("failed to solve: ") is its own.

import { isEngineError } from "../../base/errors.ts";
import { codes, GrpcError, grpcErrorOf, type StatusDetail } from "../../grpc/index.ts";
import { type ErrorRange, sourceDetail, stepDetail, vertexDetail } from "../../spec/buildkit/errdefs.ts";
import type { Range } from "../build/dockerfile/index.ts";
import type { Builder } from "../build/index.ts";

export function grpcFailure(error: unknown, failureOf: Builder["failureOf"]): GrpcError {
  if (error instanceof GrpcError) return error;
  const failure = failureOf(error);
  const details: StatusDetail[] = [];
  if (failure.vertex !== undefined) details.push(vertexDetail(failure.vertex));
  if (failure.source !== undefined) {
    const { filename, source, ranges } = failure.source;
    details.push(sourceDetail(filename, source, ranges.map(errorRange)));
  }
  if (failure.stepId !== undefined) details.push(stepDetail(failure.stepId));
  // buildx writes any other code in front of the text.
  const ended = isEngineError(error, "Cancelled") || isEngineError(error, "Deadline");
  const code = ended ? grpcErrorOf(error).code : codes.unknown;
  return new GrpcError(code, failure.message, { details, cause: error });
}

export function errorRange(range: Range): ErrorRange {
  return {
    start: { line: range.start.line, character: range.start.column },
    end: { line: range.end.line, character: range.end.column },
  };
}
