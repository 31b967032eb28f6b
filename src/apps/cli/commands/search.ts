// `gantry search`. Columns and words as the docker CLI 28's.

import { searchImages } from "../../../client/images.ts";
import { registryAuthOf, serverOfReference } from "../auth/credentials.ts";
import type { Command } from "../command.ts";
import { filterFlag, filtersOf } from "../filter-flag.ts";
import { renderRows, type TableSpec } from "../format/formatter.ts";
import { ellipsis } from "../format/text.ts";

const table: TableSpec = {
  headers: {
    Name: "NAME",
    Description: "DESCRIPTION",
    StarCount: "STARS",
    IsOfficial: "OFFICIAL",
    IsAutomated: "AUTOMATED",
  },
  defaultTable: "{{.Name}}\t{{.Description}}\t{{.StarCount}}\t{{.IsOfficial}}",
  typeName: "*formatter.searchContext",
};

export const command: Command = {
  usage: "[OPTIONS] TERM",
  flags: [
    filterFlag("Show only what fits these conditions", "f"),
    { name: "format", kind: "string", usage: "Go template of the output" },
    { name: "limit", kind: "int", usage: "At most so many results" },
    { name: "no-trunc", kind: "bool", usage: "Show everything in full length" },
  ],
  args: { min: 1, max: 1 },
  async run(context, flags) {
    const [term = ""] = flags.positional;
    let server: string;
    try {
      server = serverOfReference(term);
    } catch {
      server = serverOfReference("library");
    }
    const hits = await searchImages(
      context.client,
      term,
      { limit: flags.int("limit"), filters: filtersOf(flags) },
      await registryAuthOf(context, server),
    );
    const truncate = !flags.bool("no-trunc");
    const mark = (value: boolean): string => (value ? "[OK]" : "");
    const rows = hits.map((hit) => {
      const description = hit.description.replaceAll("\n", " ").replaceAll("\r", " ");
      return {
        Name: hit.name,
        Description: truncate ? ellipsis(description, 45) : description,
        StarCount: String(hit.star_count),
        IsOfficial: mark(hit.is_official),
        IsAutomated: mark(hit.is_automated),
      };
    });
    await context.out(renderRows(table, rows, flags.string("format"), process.stdout.isTTY));
    return 0;
  },
};
