// `gantry system prune`: containers, networks, volumes on request, images, build cache, in this order. Source: the docker CLI 28.

import { renderHumanSize } from "../../../base/units.ts";
import { pruneContainers } from "../../../client/containers.ts";
import { pruneBuildCache } from "../../../client/disk.ts";
import type { FilterArgs } from "../../../client/filters.ts";
import { pruneImages } from "../../../client/images.ts";
import { pruneNetworks } from "../../../client/networks.ts";
import { pruneVolumes } from "../../../client/volumes.ts";
import { CliError, type Command, type CommandContext } from "../command.ts";
import { confirm } from "../confirm.ts";
import { escapeControls } from "../escape.ts";
import { filterFlag, filtersOf } from "../filter-flag.ts";

/** The question's text. `filters` are as they were typed. */
export function pruneWarning(all: boolean, volumes: boolean, filters: readonly string[]): string {
  const lines = [
    "all stopped containers",
    "all networks not used by at least one container",
    ...(volumes ? ["all anonymous volumes not used by at least one container"] : []),
    all ? "all images without at least one container associated to them" : "all dangling images",
    all ? "all build cache" : "unused build cache",
  ];
  const list = (items: readonly string[]): string => items.map((item) => `\n  - ${item}`).join("");
  const filtered = filters.length === 0 ? "" : `\n  Items to be pruned will be filtered with:${list(filters)}\n`;
  return `WARNING! This will remove:${list(lines)}\n${filtered}`;
}

export const command: Command = {
  usage: "[OPTIONS]",
  flags: [
    { name: "all", short: "a", kind: "bool", usage: "Remove all unused images, not only dangling ones" },
    filterFlag('Remove only what fits (e.g. "label=<key>=<value>")'),
    { name: "force", short: "f", kind: "bool", usage: "Do not ask" },
    { name: "volumes", kind: "bool", usage: "Remove anonymous volumes too" },
  ],
  args: { min: 0, max: 0 },
  async run(context, flags) {
    const filters = filtersOf(flags);
    const [all, volumes] = [flags.bool("all"), flags.bool("volumes")];
    if (volumes && filters.has("until"))
      throw new CliError('ERROR: The "until" filter is not supported with "--volumes"');
    const typed = [...filters].flatMap(([key, values]) => values.map((value) => `${key}=${value}`)).sort();
    if (!flags.bool("force")) await confirm(context, pruneWarning(all, volumes, typed.map(escapeControls)));
    const bytes = await pruneAll(context, filters, all, volumes);
    await context.out(`Total reclaimed space: ${renderHumanSize(bytes)}\n`);
    return 0;
  },
};

/** Bytes reclaimed. What was deleted before a failure has been printed. */
async function pruneAll(context: CommandContext, filters: FilterArgs, all: boolean, volumes: boolean): Promise<number> {
  const { client } = context;
  const show = async (title: string, lines: readonly string[] | null): Promise<void> => {
    if (lines === null || lines.length === 0) return;
    await context.out(`${title}\n${lines.map((line) => `${escapeControls(line)}\n`).join("")}\n`);
  };
  const containers = await pruneContainers(client, filters);
  await show("Deleted Containers:", containers.ContainersDeleted);
  await show("Deleted Networks:", await pruneNetworks(client, filters));
  const ofVolumes = volumes ? await pruneVolumes(client, filters) : undefined;
  await show("Deleted Volumes:", ofVolumes?.VolumesDeleted ?? null);
  const images = await pruneImages(client, new Map([...filters, ["dangling", [all ? "false" : "true"]]]));
  const deleted = (images.ImagesDeleted ?? []).map(({ Untagged, Deleted }) =>
    Untagged ? `untagged: ${Untagged}` : `deleted: ${Deleted ?? ""}`,
  );
  await show("Deleted Images:", deleted);
  const cache = await pruneBuildCache(client, all, filters);
  await show("Deleted build cache objects:", cache.CachesDeleted);
  return [containers, ofVolumes, images, cache].reduce((sum, part) => sum + (part?.SpaceReclaimed ?? 0), 0);
}
