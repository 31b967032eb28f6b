// `gantry volume inspect`. Source: the docker CLI 28.

import { inspectVolumeRaw } from "../../../client/volumes.ts";
import type { Command } from "../command.ts";
import { objectFormatFlag } from "../format-flag.ts";
import { inspectObjects } from "../inspect.ts";

export const command: Command = {
  usage: "[OPTIONS] VOLUME [VOLUME...]",
  flags: [objectFormatFlag],
  args: { min: 1, max: Number.POSITIVE_INFINITY },
  async run(context, flags) {
    await inspectObjects(context, flags.positional, flags.string("format"), (name) =>
      inspectVolumeRaw(context.client, name),
    );
    return 0;
  },
};
