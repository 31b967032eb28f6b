// `gantry network inspect`. Source: the docker CLI 28.

import { inspectNetworkRaw } from "../../../client/networks.ts";
import type { Command } from "../command.ts";
import { objectFormatFlag } from "../format-flag.ts";
import { inspectObjects } from "../inspect.ts";

export const command: Command = {
  usage: "[OPTIONS] NETWORK [NETWORK...]",
  flags: [objectFormatFlag, { name: "verbose", short: "v", kind: "bool", usage: "More for diagnosis" }],
  args: { min: 1, max: Number.POSITIVE_INFINITY },
  async run(context, flags) {
    await inspectObjects(context, flags.positional, flags.string("format"), (name) =>
      inspectNetworkRaw(context.client, name, flags.bool("verbose")),
    );
    return 0;
  },
};
