// `gantry rm`. Source: the docker CLI 28.

import { DaemonError } from "../../../client/client.ts";
import { removeContainer } from "../../../client/containers.ts";
import { CliError } from "../command.ts";
import { forEachName } from "../each.ts";
import { describeError } from "../errors.ts";
import { escapeControls } from "../escape.ts";
import type { Command } from "../command.ts";

export const command: Command = {
  usage: "[OPTIONS] CONTAINER [CONTAINER...]",
  flags: [
    { name: "force", short: "f", kind: "bool", usage: "Remove running containers too (uses SIGKILL)" },
    { name: "link", short: "l", kind: "bool", usage: "Remove the link of that name" },
    { name: "volumes", short: "v", kind: "bool", usage: "Remove the anonymous volumes of the container" },
  ],
  args: { min: 1, max: Number.POSITIVE_INFINITY },
  async run(context, flags) {
    const force = flags.bool("force");
    await forEachName(
      context,
      flags.positional,
      async (text) => {
        const name = text.replace(/^\/+|\/+$/g, "");
        if (name === "") throw new CliError("Container name cannot be empty");
        try {
          await removeContainer(context.client, name, {
            force,
            link: flags.bool("link"),
            volumes: flags.bool("volumes"),
          });
        } catch (error) {
          // With --force, what is not there is as good as removed; it is said all the same.
          if (!force || !(error instanceof DaemonError) || error.status !== 404) throw error;
          context.err(`${escapeControls(describeError(error))}\n`);
          return false;
        }
        return true;
      },
      (name, removed) => (removed === true ? `${name}\n` : ""),
    );
    return 0;
  },
};
