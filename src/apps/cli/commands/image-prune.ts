// `gantry image prune`. Source: the docker CLI 28.

import { renderHumanSize } from "../../../base/units.ts";
import { pruneImages } from "../../../client/images.ts";
import type { Command } from "../command.ts";
import { confirm } from "../confirm.ts";
import { escapeControls } from "../escape.ts";
import { filterFlag, filtersOf } from "../filter-flag.ts";

export const command: Command = {
  usage: "[OPTIONS]",
  flags: [
    { name: "all", short: "a", kind: "bool", usage: "Remove all unused images, not only dangling ones" },
    filterFlag('Remove only what fits (e.g. "until=<timestamp>")'),
    { name: "force", short: "f", kind: "bool", usage: "Do not ask" },
  ],
  args: { min: 0, max: 0 },
  async run(context, flags) {
    const filters = filtersOf(flags);
    const all = flags.bool("all");
    filters.set("dangling", [all ? "false" : "true"]);
    const warning = all
      ? "WARNING! This will remove all images without at least one container associated to them."
      : "WARNING! This will remove all dangling images.";
    if (!flags.bool("force")) await confirm(context, warning);
    const { ImagesDeleted, SpaceReclaimed } = await pruneImages(context.client, filters);
    const deleted = (ImagesDeleted ?? []).map(({ Untagged, Deleted }) =>
      Untagged ? `untagged: ${Untagged}\n` : `deleted: ${Deleted ?? ""}\n`,
    );
    if (deleted.length > 0) await context.out(`Deleted Images:\n${escapeControls(deleted.join(""))}\n`);
    await context.out(`Total reclaimed space: ${renderHumanSize(SpaceReclaimed)}\n`);
    return 0;
  },
};
