// Answers to questions about a Dockerfile (buildx's --call and --check), as the metadata of a result without images.

import type { Dockerfile, DockerfileError, LintWarning } from "./dockerfile/index.ts";
import {
  describeSubrequests,
  type LowerOptions,
  outlineOf,
  renderLint,
  renderOutline,
  renderTargets,
  targetsOf,
} from "./graph/index.ts";
import type { FrontendResult } from "./index.ts";

/** A document, the same as text, and for lint whether something was found. */
export interface Answer {
  readonly document: unknown;
  readonly text: string;
  readonly statusCode?: 0 | 1;
}

export function answerResult({ document, text, statusCode }: Answer): FrontendResult {
  const metadata = {
    version: Buffer.from("1.0.0"),
    "result.json": Buffer.from(JSON.stringify(document, undefined, 2)),
    "result.txt": Buffer.from(text),
    ...(statusCode === undefined ? {} : { "result.statuscode": Buffer.from(String(statusCode)) }),
  };
  return { images: [], graph: { vertices: new Map() }, metadata, unusedBuildArgs: [] };
}

export function describeAnswer(): Answer {
  const document = describeSubrequests();
  return { document, text: `${JSON.stringify(document, undefined, 2)}\n` };
}

export function targetsAnswer(dockerfile: Dockerfile): Answer {
  const document = targetsOf(dockerfile);
  return { document, text: renderTargets(document) };
}

export function outlineAnswer(dockerfile: Dockerfile, options: LowerOptions): Answer {
  const document = outlineOf(dockerfile, options.target, options.buildArgs, options);
  return { document, text: renderOutline(document) };
}

/** @param failure why the Dockerfile could not be built at all */
export function lintAnswer(
  dockerfile: Dockerfile,
  warnings: readonly LintWarning[],
  failure: DockerfileError | undefined,
): Answer {
  const { json, text } = renderLint(dockerfile, warnings, failure);
  return { document: json, text, statusCode: warnings.length > 0 || failure !== undefined ? 1 : 0 };
}
