// Dockerfile text → stages. Source: Dockerfile reference 1.20.

import { parseDirectives } from "./directives.ts";
import { DockerfileError, instructionError } from "./error.ts";
import type {
  ArgInstruction,
  Dockerfile,
  Instruction,
  LintWarning,
  Lookup,
  Range,
  RunInstruction,
  RunMount,
  Stage,
} from "./index.ts";
import { expandWord } from "./expand.ts";
import { parseInstruction, takesHeredocs } from "./instructions.ts";
import { joinLines, type LogicalLine, splitLines } from "./lines.ts";
import { isSkipped, warningOf } from "./lint-rules.ts";
import { parseRunMount } from "./mount.ts";

interface OpenStage extends Omit<Stage, "range"> {
  readonly instructions: Instruction[];
}

/** @throws DockerfileError with ranges, everything that is wrong with the language */
export function parseDockerfile(source: string, filename: string): Dockerfile {
  if (source === "") throw new DockerfileError("the Dockerfile cannot be empty", []);
  const physical = splitLines(source);
  const { directives, lines: directiveLines } = parseDirectives(physical);
  const logical = joinLines(physical, directives.escape, directiveLines, takesHeredocs);
  if (logical.length === 0) {
    const last = { line: Math.max(1, physical.length), column: 0 };
    throw new DockerfileError("file with no instructions", [{ start: last, end: last }]);
  }
  const globalArgs: ArgInstruction[] = [];
  const stages: OpenStage[] = [];
  for (const line of logical) {
    const instruction = parseInstruction(line, directives.escape);
    const stage = stages.at(-1);
    if (instruction.kind === "from") stages.push({ from: instruction, index: stages.length, instructions: [] });
    else if (stage !== undefined) stage.instructions.push(instruction);
    else if (instruction.kind === "arg") globalArgs.push(instruction);
    else throw new DockerfileError("no build stage in current context", [line.range]);
  }
  if (stages.length === 0) throw new DockerfileError("dockerfile contains no stages to build", []);
  const warnings = isSkipped("NoEmptyContinuation", directives.check) ? [] : emptyContinuations(logical);
  return { filename, source, directives, globalArgs, stages: stages.map(closeStage), warnings };
}

function closeStage(stage: OpenStage): Stage {
  const last = stage.instructions.at(-1) ?? stage.from;
  return { ...stage, range: { start: stage.from.range.start, end: last.range.end } };
}

function emptyContinuations(logical: readonly LogicalLine[]): readonly LintWarning[] {
  return logical
    .filter((line) => line.hasEmptyContinuation)
    .map(({ range }) =>
      warningOf("NoEmptyContinuation", "Empty continuation line", {
        start: { line: range.end.line, column: 0 },
        end: range.end,
      }),
    );
}

/**
 * An ONBUILD trigger of a base image.
 *
 * @throws DockerfileError it is not one instruction, or one that cannot be a trigger
 */
export function parseTrigger(text: string): Instruction {
  const [line, ...more] = joinLines(splitLines(text), "\\", new Set(), takesHeredocs);
  if (line === undefined || more.length > 0)
    throw new DockerfileError("onbuild trigger should be a single expression", []);
  const instruction = parseInstruction(line, "\\");
  if (instruction.kind === "onbuild")
    throw instructionError("Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed", line.range);
  if (instruction.kind === "from" || instruction.kind === "maintainer")
    throw instructionError(`${instruction.kind.toUpperCase()} isn't allowed as an ONBUILD trigger`, line.range);
  return instruction;
}

/**
 * A mount with its variables put in; whatever could not be checked before is checked now.
 *
 * @throws DockerfileError as the parser does
 */
export function expandRunMount(mount: RunMount, run: RunInstruction, lookup: Lookup, escape: "\\" | "`"): RunMount {
  return parseRunMount(mount.raw, (value) => expandWord(value, lookup, escape).text, failAt(run.range));
}

function failAt(range: Range): (message: string) => never {
  return (message) => {
    throw instructionError(message, range);
  };
}
