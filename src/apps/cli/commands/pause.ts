// `gantry pause`. Source: the docker CLI 28.

import { actOnContainer } from "../../../client/containers.ts";
import { forEachName } from "../each.ts";
import type { Command } from "../command.ts";

export const command: Command = {
  usage: "CONTAINER [CONTAINER...]",
  flags: [],
  args: { min: 1, max: Number.POSITIVE_INFINITY },
  async run(context, flags) {
    await forEachName(context, flags.positional, (name) => actOnContainer(context.client, name, "pause"));
    return 0;
  },
};
