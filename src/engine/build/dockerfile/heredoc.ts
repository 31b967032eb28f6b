// Openers of heredocs in an instruction's text: `<<EOF`, `<<-EOF`, `3<<"EOF"`, as words of a shell; `<<<` is none, nor is what
// stands in quotes or inside of a word.

import type { Heredoc } from "./index.ts";
import { lexWord } from "./shell-word.ts";

/** A heredoc whose body has not been read yet. */
export type HeredocOpener = Omit<Heredoc, "content" | "range">;

const opener = /^(\d*)<<(-?)([^<]*)$/s;
const unset = () => undefined;

/** Those of a text, in order. */
export function findHeredocs(text: string): readonly HeredocOpener[] {
  return lexWord(text, unset, { escape: "\\", raw: true, keepUnset: true })
    .words.map(parseHeredocOpener)
    .filter((found) => found !== undefined);
}

/** @returns undefined when the word opens no heredoc */
export function parseHeredocOpener(word: string): HeredocOpener | undefined {
  const match = opener.exec(word);
  const written = match?.[3] ?? "";
  if (match === null || written === "") return undefined;
  const [name, more] = lexWord(written, unset, { escape: "\\", keepUnset: true }).words;
  const [raw, moreRaw] = lexWord(written, unset, { escape: "\\", raw: true, keepUnset: true }).words;
  if (name === undefined || more !== undefined || moreRaw !== undefined) return undefined;
  return { name, expand: name === raw, chomp: match[2] === "-", fd: Number(match[1] ?? "") };
}
