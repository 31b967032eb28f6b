// The failure of a build, with the vertex that it is of.

import type { Digest } from "../../../base/digest.ts";
import { EngineError, isEngineError, messageOf } from "../../../base/errors.ts";

/** Why a build failed, and at which vertex; kind and message are the cause's, which is what its runner threw (StepFailed …). */
export class VertexFailed extends EngineError {
  readonly vertex: Digest;

  constructor(vertex: Digest, cause: unknown) {
    super(isEngineError(cause) ? cause.kind : "Unknown", messageOf(cause), { cause });
    this.vertex = vertex;
  }
}
