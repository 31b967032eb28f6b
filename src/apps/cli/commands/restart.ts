// `gantry restart`. Source: the docker CLI 28.

import { actOnContainer } from "../../../client/containers.ts";
import { forEachName } from "../each.ts";
import type { Command } from "../command.ts";

export const command: Command = {
  usage: "[OPTIONS] CONTAINER [CONTAINER...]",
  flags: [
    { name: "signal", short: "s", kind: "string", usage: "Signal to send" },
    { name: "time", kind: "int", usage: "Seconds to wait before killing", hidden: true },
    { name: "timeout", short: "t", kind: "int", usage: "Seconds to wait before killing the container" },
  ],
  args: { min: 1, max: Number.POSITIVE_INFINITY },
  async run(context, flags) {
    const query = {
      signal: flags.string("signal") || undefined,
      t: flags.isSet("timeout") ? flags.int("timeout") : flags.isSet("time") ? flags.int("time") : undefined,
    };
    await forEachName(context, flags.positional, (name) => actOnContainer(context.client, name, "restart", query));
    return 0;
  },
};
