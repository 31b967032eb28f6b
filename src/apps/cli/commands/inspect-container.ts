// `gantry container inspect`. Source: the docker CLI 28.

import { inspectContainerRaw } from "../../../client/containers.ts";
import type { Command } from "../command.ts";
import { objectFormatFlag } from "../format-flag.ts";
import { inspectObjects } from "../inspect.ts";

export const command: Command = {
  usage: "[OPTIONS] CONTAINER [CONTAINER...]",
  flags: [objectFormatFlag, { name: "size", short: "s", kind: "bool", usage: "Show sizes of files" }],
  args: { min: 1, max: Number.POSITIVE_INFINITY },
  async run(context, flags) {
    await inspectObjects(context, flags.positional, flags.string("format"), (name) =>
      inspectContainerRaw(context.client, name, flags.bool("size")),
    );
    return 0;
  },
};
