// `gantry rename`. Source: the docker CLI 28.

import { actOnContainer } from "../../../client/containers.ts";
import { CliError } from "../command.ts";
import { describeError } from "../errors.ts";
import { escapeControls } from "../escape.ts";
import type { Command } from "../command.ts";

export const command: Command = {
  usage: "CONTAINER NEW_NAME",
  flags: [],
  args: { min: 2, max: 2 },
  async run(context, flags) {
    const [from = "", to = ""] = flags.positional.map((name) => name.trim());
    if (from === "" || to === "") throw new CliError("Error: Neither old nor new names may be empty");
    try {
      await actOnContainer(context.client, from, "rename", { name: to });
    } catch (error) {
      context.err(`${escapeControls(describeError(error))}\n`);
      throw new CliError(`Error: failed to rename container named ${from}`);
    }
    return 0;
  },
};
