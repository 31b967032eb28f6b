// `gantry network prune`. Source: the docker CLI 28.

import { pruneNetworks } from "../../../client/networks.ts";
import type { Command } from "../command.ts";
import { confirm } from "../confirm.ts";
import { escapeControls } from "../escape.ts";
import { filterFlag, filtersOf } from "../filter-flag.ts";

export const command: Command = {
  usage: "[OPTIONS]",
  flags: [
    filterFlag('Remove only what fits (e.g. "until=<timestamp>")'),
    { name: "force", short: "f", kind: "bool", usage: "Do not ask" },
  ],
  args: { min: 0, max: 0 },
  async run(context, flags) {
    const filters = filtersOf(flags);
    if (!flags.bool("force"))
      await confirm(context, "WARNING! This will remove all custom networks not used by at least one container.");
    const deleted = await pruneNetworks(context.client, filters);
    if (deleted.length > 0)
      await context.out(`Deleted Networks:\n${deleted.map((name) => `${escapeControls(name)}\n`).join("")}\n`);
    return 0;
  },
};
