// A build's failure on stderr, as docker buildx shows it: what the step wrote last, the lines of the Dockerfile, the message.

import { renderExcerpt } from "../../../base/excerpt.ts";
import { messageOf } from "../../../base/errors.ts";
import { GrpcError } from "../../../grpc/index.ts";
import { readDetails } from "../../../spec/buildkit/errdefs.ts";
import { escapeControls } from "../escape.ts";

export interface ShownFailure {
  readonly text: string;
  /** The state before the step, where the daemon keeps it. */
  readonly stepId: string | undefined;
}

/** @param stepOf name and last lines of a vertex that the display knows */
export function renderFailure(
  error: unknown,
  stepOf: (digest: string) => { readonly name: string; readonly tail: readonly string[] } | undefined,
): ShownFailure {
  const { source, vertex, stepId } = readDetails(error instanceof GrpcError ? error.details : []);
  const step = vertex === undefined ? undefined : stepOf(vertex);
  const parts: string[] = [];
  if (step !== undefined && step.tail.length > 0)
    parts.push(
      ["------", ` > ${step.name}:`, ...step.tail, "------"].map((line) => `${escapeControls(line)}\n`).join(""),
    );
  if (source !== undefined) parts.push(escapeControls(renderExcerpt(source.source, source.filename, source.ranges)));
  parts.push(`ERROR: failed to solve: ${escapeControls(messageOf(error))}\n`);
  return { text: parts.join(""), stepId };
}
