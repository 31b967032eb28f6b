// `gantry builder prune`. Source: the docker CLI 28.

import { parseRamBytes, renderHumanSize } from "../../../base/units.ts";
import type { Flags } from "../../../base/flags.ts";
import { pruneBuildCache } from "../../../client/disk.ts";
import { CliError, type Command } from "../command.ts";
import { confirm } from "../confirm.ts";
import { escapeControls } from "../escape.ts";
import { filterFlag, filtersOf } from "../filter-flag.ts";

export const command: Command = {
  usage: "[OPTIONS]",
  flags: [
    { name: "all", short: "a", kind: "bool", usage: "Remove all unused build cache, not just dangling ones" },
    filterFlag('Remove only what fits (e.g. "until=24h")'),
    { name: "force", short: "f", kind: "bool", usage: "Do not ask" },
    { name: "keep-storage", kind: "string", valueName: "bytes", usage: "Leave so much cache", hidden: true },
    { name: "max-used-space", kind: "string", valueName: "bytes", usage: "Remove until the cache is no larger" },
    { name: "min-free-space", kind: "string", valueName: "bytes", usage: "Remove until so much of the disk is free" },
    { name: "reserved-space", kind: "string", valueName: "bytes", usage: "Leave so much cache in any case" },
  ],
  args: { min: 0, max: 0 },
  async run(context, flags) {
    const filters = filtersOf(flags);
    const all = flags.bool("all");
    const space = {
      keepStorage: bytesOf(flags, "keep-storage"),
      reservedSpace: bytesOf(flags, "reserved-space"),
      maxUsedSpace: bytesOf(flags, "max-used-space"),
      minFreeSpace: bytesOf(flags, "min-free-space"),
    };
    const warning = all
      ? "WARNING! This will remove all build cache."
      : "WARNING! This will remove all dangling build cache.";
    if (!flags.bool("force")) await confirm(context, warning);
    const { CachesDeleted, SpaceReclaimed } = await pruneBuildCache(context.client, all, filters, space);
    const deleted = (CachesDeleted ?? []).map((id) => `${escapeControls(id)}\n`);
    if (deleted.length > 0) await context.out(`Deleted build cache objects:\n${deleted.join("")}\n`);
    await context.out(`Total reclaimed space: ${renderHumanSize(SpaceReclaimed)}\n`);
    return 0;
  },
};

function bytesOf(flags: Flags, name: string): number | undefined {
  const text = flags.string(name);
  if (text === "") return undefined;
  try {
    return parseRamBytes(text);
  } catch (error) {
    throw new CliError(`invalid argument "${text}" for "--${name}" flag: ${(error as Error).message}`);
  }
}
