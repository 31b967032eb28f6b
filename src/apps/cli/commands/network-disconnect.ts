// `gantry network disconnect`. Source: the docker CLI 28.

import { disconnectNetwork } from "../../../client/networks.ts";
import type { Command } from "../command.ts";

export const command: Command = {
  usage: "[OPTIONS] NETWORK CONTAINER",
  flags: [{ name: "force", short: "f", kind: "bool", usage: "Disconnect it whatever stands in the way" }],
  args: { min: 2, max: 2 },
  async run(context, flags) {
    const [network = "", container = ""] = flags.positional;
    await disconnectNetwork(context.client, network, container, flags.bool("force"));
    return 0;
  },
};
