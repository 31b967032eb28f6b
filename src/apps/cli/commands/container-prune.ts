// `gantry container prune`. Source: the docker CLI 28.

import { renderHumanSize } from "../../../base/units.ts";
import { pruneContainers } from "../../../client/containers.ts";
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
    if (!flags.bool("force")) await confirm(context, "WARNING! This will remove all stopped containers.");
    const { ContainersDeleted, SpaceReclaimed } = await pruneContainers(context.client, filters);
    const deleted = ContainersDeleted ?? [];
    if (deleted.length > 0)
      await context.out(`Deleted Containers:\n${deleted.map((id) => `${escapeControls(id)}\n`).join("")}\n`);
    await context.out(`Total reclaimed space: ${renderHumanSize(SpaceReclaimed)}\n`);
    return 0;
  },
};
