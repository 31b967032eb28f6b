// `gantry volume prune`. Source: the docker CLI 28.

import { renderHumanSize } from "../../../base/units.ts";
import { pruneVolumes } from "../../../client/volumes.ts";
import { CliError, type Command } from "../command.ts";
import { confirm } from "../confirm.ts";
import { escapeControls } from "../escape.ts";
import { filterFlag, filtersOf } from "../filter-flag.ts";

export const command: Command = {
  usage: "[OPTIONS]",
  flags: [
    { name: "all", short: "a", kind: "bool", usage: "Remove all unused volumes, not only anonymous ones" },
    filterFlag('Remove only what fits (e.g. "label=<label>")'),
    { name: "force", short: "f", kind: "bool", usage: "Do not ask" },
  ],
  args: { min: 0, max: 0 },
  async run(context, flags) {
    const filters = filtersOf(flags);
    const all = flags.bool("all");
    if (all && filters.has("all"))
      throw new CliError("conflicting options: cannot specify both --all and --filter all=1");
    if (all) filters.set("all", ["true"]);
    const which = all ? "all" : "anonymous";
    if (!flags.bool("force"))
      await confirm(context, `WARNING! This will remove ${which} local volumes not used by at least one container.`);
    const { VolumesDeleted, SpaceReclaimed } = await pruneVolumes(context.client, filters);
    const deleted = VolumesDeleted ?? [];
    if (deleted.length > 0)
      await context.out(`Deleted Volumes:\n${deleted.map((name) => `${escapeControls(name)}\n`).join("")}\n`);
    await context.out(`Total reclaimed space: ${renderHumanSize(SpaceReclaimed)}\n`);
    return 0;
  },
};
