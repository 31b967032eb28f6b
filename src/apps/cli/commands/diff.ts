// `gantry diff`. Source: the docker CLI 28.

import { containerChanges } from "../../../client/archive.ts";
import { CliError, type Command } from "../command.ts";
import { escapeCell } from "../escape.ts";

const letters = ["C", "A", "D"];

export const command: Command = {
  usage: "CONTAINER",
  flags: [],
  args: { min: 1, max: 1 },
  async run(context, flags) {
    const [name = ""] = flags.positional;
    if (name === "") throw new CliError("Container name cannot be empty");
    const changes = await containerChanges(context.client, name);
    const lines = changes.map(
      ({ Kind, Path }) => `${letters[Kind] ?? ""} ${process.stdout.isTTY ? escapeCell(Path) : Path}\n`,
    );
    await context.out(lines.join(""));
    return 0;
  },
};
