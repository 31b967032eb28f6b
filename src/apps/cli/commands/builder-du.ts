// `gantry builder du`: what the build cache is made of. Columns as docker buildx du's.

import { renderHumanDuration, renderHumanSize } from "../../../base/units.ts";
import { cacheUsage, openBuildkit } from "../../../client/build.ts";
import type { Command } from "../command.ts";
import { escapeCell } from "../escape.ts";
import { layOutTabs } from "../format/tabwriter.ts";

export const command: Command = {
  usage: "[OPTIONS]",
  flags: [
    { name: "filter", kind: "strings", valueName: "list", usage: 'Count only what fits (e.g. "type=exec.cachemount")' },
    { name: "verbose", kind: "bool", usage: "Show descriptions and types" },
  ],
  args: { min: 0, max: 0 },
  async run(context, flags) {
    const stop = new AbortController();
    const buildkit = await openBuildkit(context.client, stop.signal);
    try {
      const records = [...(await cacheUsage(buildkit, flags.strings("filter"), stop.signal))];
      records.sort((a, b) => b.Size - a.Size);
      const verbose = flags.bool("verbose");
      const header = ["ID", "RECLAIMABLE", "SIZE", "LAST ACCESSED", ...(verbose ? ["TYPE", "DESCRIPTION"] : [])];
      const now = Date.now() / 1000;
      const rows = records.map((record) => {
        const { ID, InUse, Mutable, Shared, Size, LastUsedAt, RecordType, Description } = record;
        const ago = LastUsedAt === undefined ? "" : `${renderHumanDuration(now - Number(LastUsedAt.seconds))} ago`;
        const size = `${renderHumanSize(Size)}${Shared ? "*" : ""}`;
        const plain = [`${escapeCell(ID)}${Mutable ? "*" : ""}`, String(!InUse), size, ago];
        return verbose ? [...plain, escapeCell(RecordType), escapeCell(Description)] : plain;
      });
      await context.out(layOutTabs([header, ...rows].map((cells) => `${cells.join("\t")}\n`).join("")));
      const sum = (some: typeof records): string => renderHumanSize(some.reduce((total, { Size }) => total + Size, 0));
      const shared = records.filter(({ Shared }) => Shared);
      const totals = [
        ...(shared.length === 0 ? [] : [`Shared:\t\t${sum(shared)}`]),
        `Reclaimable:\t${sum(records.filter(({ InUse, Shared }) => !InUse && !Shared))}`,
        `Total:\t\t${sum(records)}`,
      ];
      await context.out(`${totals.join("\n")}\n`);
      return 0;
    } finally {
      buildkit.close();
    }
  },
};
