// `gantry volume ls`. Columns as the docker CLI 28's; drivers that did not answer are named on stderr.

import { listVolumes } from "../../../client/volumes.ts";
import type { Volume } from "../../../spec/docker/volume.ts";
import type { Command } from "../command.ts";
import { escapeControls } from "../escape.ts";
import { filterFlag, filtersOf } from "../filter-flag.ts";
import { renderRows, type Row, type TableSpec } from "../format/formatter.ts";
import { compareNatural } from "../format/natural-order.ts";
import { formatOf } from "../format/text.ts";
import { listFormatFlag } from "../format-flag.ts";
import { volumeRow } from "../volume-row.ts";

const table: TableSpec = {
  headers: {
    Name: "VOLUME NAME",
    Driver: "DRIVER",
    Scope: "SCOPE",
    Mountpoint: "MOUNTPOINT",
    Labels: "LABELS",
    Links: "LINKS",
    Size: "SIZE",
    Group: "GROUP",
    Availability: "AVAILABILITY",
    Status: "STATUS",
  },
  defaultTable: "{{.Driver}}\t{{.Name}}",
  typeName: "*formatter.volumeContext",
  methods: ["Label"],
};

export const command: Command = {
  usage: "[OPTIONS]",
  flags: [
    filterFlag('Show only what fits these conditions (e.g. "dangling=true")', "f"),
    listFormatFlag,
    { name: "quiet", short: "q", kind: "bool", usage: "Show names only" },
  ],
  args: { min: 0, max: 0 },
  async run(context, flags) {
    const { Volumes, Warnings } = await listVolumes(context.client, filtersOf(flags));
    const volumes: Volume[] = [...(Volumes ?? [])];
    volumes.sort((a, b) => compareNatural(a.Name, b.Name));
    const quiet = flags.bool("quiet") && ["", "table"].includes(flags.string("format"));
    const format = quiet ? "{{.Name}}" : formatOf(context, flags.string("format"), "volumesFormat");
    const rows: readonly Row[] = volumes.map(volumeRow);
    await context.out(renderRows(table, rows, format, process.stdout.isTTY));
    for (const warning of Warnings ?? []) context.err(`WARNING: ${escapeControls(warning)}\n`);
    return 0;
  },
};
