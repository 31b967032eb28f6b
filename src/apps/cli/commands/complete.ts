// `gantry __complete -- WORDS`: what the last of the words may become, for the scripts of `gantry completion`. A line for each
// candidate, "word<TAB>about it"; the last line is ":N", N the sum of 2 (no space behind the word), 4 (no files), 16 (directories).

import type { Command } from "../command.ts";
import { completeLine, type Completion } from "../completion/complete.ts";
import { escapeCell } from "../escape.ts";

function directiveOf({ files, goesOn }: Completion): number {
  return (goesOn ? 2 : 0) + { all: 0, none: 4, directories: 16 }[files];
}

export const command: Command = {
  usage: "-- WORD [WORD...]",
  flags: [],
  interspersed: false,
  args: { min: 0, max: Number.POSITIVE_INFINITY },
  async run(context, flags) {
    let completion: Completion;
    try {
      completion = await completeLine(flags.positional, context.env);
    } catch (error) {
      // Nobody can read an error in the middle of a command line.
      if (context.debug) throw error;
      await context.out(":4\n");
      return 1;
    }
    const lines = completion.candidates.map(({ word, about }) => `${escapeCell(word)}\t${escapeCell(about)}\n`);
    await context.out(`${lines.join("")}:${directiveOf(completion)}\n`);
    return 0;
  },
};
