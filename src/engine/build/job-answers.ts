// Answers to questions about a Dockerfile (buildx's --call and --check), as the metadata of a result without images.

import type { Dockerfile, LintWarning, Range } from "./dockerfile/index.ts";
import { failureOf } from "./failure.ts";
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

export function planAnswer(text: string): Answer {
  return { document: { plan: text.split("\n").slice(0, -1) }, text };
}

/** @param failure why the Dockerfile could not be built at all */
export function lintAnswer(
  dockerfile: Pick<Dockerfile, "filename" | "source">,
  warnings: readonly LintWarning[],
  failure: { readonly message: string; readonly ranges: readonly Range[] } | undefined,
): Answer {
  const { json, text } = renderLint(dockerfile, warnings, failure);
  return { document: json, text, statusCode: warnings.length > 0 || failure !== undefined ? 1 : 0 };
}

/** --check of what cannot be parsed is an answer, too. @throws unknown an error that is not one of the text, as it was */
export function unparsedAnswer(error: unknown): Answer {
  const { message, source } = failureOf(error);
  if (source === undefined) throw error;
  return lintAnswer(source, [], { message, ranges: source.ranges });
}
