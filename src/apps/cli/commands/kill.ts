// `gantry kill`. Source: the docker CLI 28.

import { actOnContainer } from "../../../client/containers.ts";
import { forEachName } from "../each.ts";
import type { Command } from "../command.ts";

export const command: Command = {
  usage: "[OPTIONS] CONTAINER [CONTAINER...]",
  flags: [{ name: "signal", short: "s", kind: "string", usage: "Signal to send" }],
  args: { min: 1, max: Number.POSITIVE_INFINITY },
  async run(context, flags) {
    const signal = flags.string("signal") || undefined;
    await forEachName(context, flags.positional, (name) => actOnContainer(context.client, name, "kill", { signal }));
    return 0;
  },
};
