// From text to logical lines: continuation lines joined, comments taken out, bodies of heredocs attached.
// Source: Dockerfile reference 1.20, "Format", "escape", "Here-documents"; details found out from BuildKit 0.25.

import { DockerfileError } from "./error.ts";
import { isSpace, trimSpace, trimSpaceLeft } from "./go.ts";
import { findHeredocs } from "./heredoc.ts";
import type { Heredoc, Range } from "./index.ts";

/** A line of the file. */
export interface PhysicalLine {
  readonly number: number;
  /** Without its end. */
  readonly text: string;
  /** "\n", "\r\n", or "" for the last. */
  readonly ending: string;
}

/** An instruction's text. */
export interface LogicalLine {
  /** Joined; white space in front of it and behind it is gone. */
  readonly text: string;
  readonly range: Range;
  readonly comments: readonly string[];
  readonly heredocs: readonly Heredoc[];
  /** Bodies of the heredocs as written, tabs kept. */
  readonly bodies: readonly string[];
  /** A blank line stands among the continuation lines. */
  readonly hasEmptyContinuation: boolean;
}

/** The physical lines; a byte order mark in front is dropped. */
export function splitLines(source: string): readonly PhysicalLine[] {
  const parts = source.replace(/^\ufeff/, "").split("\n");
  const lines = parts.map((part, index): PhysicalLine => {
    const last = index === parts.length - 1;
    const text = part.replace(/\r+$/, "");
    return { number: index + 1, text, ending: part.slice(text.length) + (last ? "" : "\n") };
  });
  if (lines.at(-1)?.text === "" && lines.at(-1)?.ending === "") lines.pop();
  return lines;
}

/**
 * @param directiveLines lines that are directives: neither comments nor instructions
 * @param takesHeredocs whether the instruction of this text may have heredocs
 * @throws DockerfileError an unterminated heredoc
 */
export function joinLines(
  lines: readonly PhysicalLine[],
  escape: "\\" | "`",
  directiveLines: ReadonlySet<number>,
  takesHeredocs: (text: string) => boolean,
): readonly LogicalLine[] {
  const logical: LogicalLine[] = [];
  let comments: string[] = [];
  let index = 0;
  while (index < lines.length) {
    const first = lines[index++];
    if (first === undefined) break;
    if (isComment(first.text)) {
      const comment = trimSpace(trimSpaceLeft(first.text).slice(1));
      if (comment === "") comments = [];
      else if (!directiveLines.has(first.number)) comments.push(comment);
      continue;
    }
    const opening = trimSpaceLeft(first.text);
    const start = { line: first.number, column: first.text.length - opening.length };
    let { text, continues } = cutContinuation(opening, escape);
    let last = first;
    let hasEmptyContinuation = false;
    if (!continues && text === "") continue;
    while (continues && index < lines.length) {
      const line = lines[index++];
      if (line === undefined) break;
      last = line;
      if (isComment(line.text)) continue;
      if (trimSpace(line.text) === "") {
        hasEmptyContinuation = true;
        continue;
      }
      const next = cutContinuation(line.text, escape);
      text += next.text;
      continues = next.continues;
    }
    text = trimSpace(text);
    if (text === "") continue;
    const heredocs: Heredoc[] = [];
    const bodies: string[] = [];
    for (const opener of text.includes("<<") && takesHeredocs(text) ? findHeredocs(text) : []) {
      const body = takeBody(lines, index, opener.name, opener.chomp);
      if (body === undefined) {
        const range = { start, end: endOf(lines.at(-1) ?? last) };
        throw new DockerfileError("unterminated heredoc", [range]);
      }
      last = lines[body.next - 1] ?? last;
      heredocs.push({ ...opener, content: body.content, range: rangeOf(lines[index] ?? last, last) });
      bodies.push(body.raw);
      index = body.next;
    }
    logical.push({ text, range: { start, end: endOf(last) }, comments, heredocs, bodies, hasEmptyContinuation });
    comments = [];
  }
  return logical;
}

function takeBody(
  lines: readonly PhysicalLine[],
  from: number,
  name: string,
  chomp: boolean,
): { readonly content: string; readonly raw: string; readonly next: number } | undefined {
  let content = "";
  let raw = "";
  for (let index = from; index < lines.length; index++) {
    const line = lines[index];
    if (line === undefined) break;
    const text = chomp ? line.text.replace(/^\t+/, "") : line.text;
    if (text === name) return { content, raw, next: index + 1 };
    content += text + line.ending;
    raw += line.text + line.ending;
  }
  return undefined;
}

function isComment(text: string): boolean {
  return trimSpaceLeft(text).startsWith("#");
}

/** An escape character at the end, alone, continues the line; two of them do not. */
function cutContinuation(text: string, escape: string): { readonly text: string; readonly continues: boolean } {
  let end = text.length;
  while (end > 0 && (text[end - 1] === " " || text[end - 1] === "\t")) end--;
  if (text[end - 1] !== escape || text[end - 2] === escape) return { text, continues: false };
  return { text: text.slice(0, end - 1), continues: true };
}

function endOf(line: PhysicalLine): Range["end"] {
  return { line: line.number, column: line.text.length };
}

function rangeOf(first: PhysicalLine, last: PhysicalLine): Range {
  return { start: { line: first.number, column: 0 }, end: endOf(last) };
}

/** The instruction and what follows it. */
export function cutKeyword(text: string): { readonly keyword: string; readonly rest: string } {
  let end = 0;
  while (end < text.length && !isSpace(text[end] ?? "")) end++;
  return { keyword: text.slice(0, end), rest: trimSpace(text.slice(end)) };
}
