// `gantry network rules`: the daemon's firewall with its comments. Gantry's own; dockerd has no such thing.

import { networkRules } from "../../../client/networks.ts";
import type { Command } from "../command.ts";
import { escapeControls } from "../escape.ts";

export const command: Command = {
  usage: "",
  flags: [],
  args: { min: 0, max: 0 },
  async run(context) {
    const text = await networkRules(context.client);
    await context.out(`${escapeControls(text).trimEnd()}\n`);
    return 0;
  },
};
