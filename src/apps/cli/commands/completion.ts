// `gantry completion`: a script for a shell.

import { CliError, type Command } from "../command.ts";
import { completionScripts } from "../completion/scripts.ts";

export const command: Command = {
  usage: "bash|fish|zsh",
  flags: [],
  args: { min: 1, max: 1 },
  async run(context, flags) {
    const [shell = ""] = flags.positional;
    const script = completionScripts.get(shell);
    if (script === undefined)
      throw new CliError(
        `no completion for ${JSON.stringify(shell)}: one of ${[...completionScripts.keys()].join(", ")}`,
      );
    await context.out(script);
    return 0;
  },
};
