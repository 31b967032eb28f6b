// Failures in the words of the classic builder, which clients look for. Pure. Source: dockerd 28.5's output.

import { parseDockerfile } from "../dockerfile/index.ts";
import type { BuildFailure } from "../index.ts";

/** An instruction with its number, as the classic builder counts them. */
export interface NumberedStep {
  readonly number: number;
  readonly total: number;
  readonly instruction: string;
}

/** The FROM whose image cannot be had, which is known before any step is planned; undefined for every other failure. */
export function stepOfFailure({ message, source }: BuildFailure): NumberedStep | undefined {
  const line = source?.ranges[0]?.start.line;
  if (source === undefined || line === undefined || !message.includes("failed to resolve source metadata for"))
    return undefined;
  const { globalArgs, stages } = parseDockerfile(source.source, source.filename);
  const instructions = [...globalArgs, ...stages.flatMap((stage) => [stage.from, ...stage.instructions])];
  const at = instructions.findIndex(({ range }) => range.start.line <= line && line <= range.end.line);
  const found = instructions[at];
  return found === undefined ? undefined : { number: at + 1, total: instructions.length, instruction: found.original };
}

/** For failures that are no step's: the message with its line in front, after the word for it. */
export function locatedMessage(message: string, { source }: BuildFailure, word: string): string {
  const line = source?.ranges[0]?.start.line;
  if (line === undefined || /\bline \d/.test(message)) return message;
  return `${word} ${line}: ${message}`;
}

const missingSource = /^failed to calculate checksum of ref \S+: "\/?(.*)": not found$/s;

/** @param instruction of the step that failed, where one did */
export function wordsOfFailure(failure: BuildFailure, instruction: string | undefined): string {
  const { message, exitCode, command } = failure;
  if (exitCode !== undefined && command !== undefined)
    return `The command '${command}' returned a non-zero code: ${exitCode}`;
  const missing = missingSource.exec(message)?.[1];
  const verb = /^(?:COPY|ADD)(?=\s)/i.exec(instruction ?? "")?.[0]?.toUpperCase();
  if (missing === undefined || instruction === undefined || verb === undefined) return message;
  const where = /\s--from=/i.test(instruction) ? "" : "file not found in build context or excluded by .dockerignore: ";
  return `${verb} failed: ${where}stat ${missing}: file does not exist`;
}
