// `gantry history`. Columns and words as the docker CLI 28's.

import { renderHumanDuration, renderHumanSize } from "../../../base/units.ts";
import { imageHistory } from "../../../client/images.ts";
import { CliError, type Command } from "../command.ts";
import { renderRows, type TableSpec } from "../format/formatter.ts";
import { ellipsis, truncateId } from "../format/text.ts";
import { listFormatFlag } from "../format-flag.ts";
import { platformParameter } from "../platform.ts";

const table: TableSpec = {
  headers: {
    ID: "IMAGE",
    CreatedSince: "CREATED",
    CreatedAt: "CREATED AT",
    CreatedBy: "CREATED BY",
    Size: "SIZE",
    Comment: "COMMENT",
  },
  defaultTable: "{{.ID}}\t{{.CreatedSince}}\t{{.CreatedBy}}\t{{.Size}}\t{{.Comment}}",
  typeName: "*image.historyContext",
};

export const command: Command = {
  usage: "[OPTIONS] IMAGE",
  flags: [
    listFormatFlag,
    { name: "human", short: "H", kind: "bool", default: "true", usage: "Sizes and dates for people" },
    { name: "no-trunc", kind: "bool", usage: "Show everything in full length" },
    { name: "platform", kind: "string", usage: "Platform of the image, os[/arch[/variant]]" },
    { name: "quiet", short: "q", kind: "bool", usage: "Show ids only" },
  ],
  args: { min: 1, max: 1 },
  async run(context, flags) {
    const [image = ""] = flags.positional;
    let platform: string | undefined;
    try {
      platform = platformParameter(flags.string("platform"));
    } catch (error) {
      throw new CliError((error as Error).message);
    }
    const layers = await imageHistory(context.client, image, { platform });
    const truncate = !flags.bool("no-trunc");
    const human = flags.bool("human");
    const nowMs = Date.now();
    const rows = layers.map((layer) => {
      const createdAt = new Date(layer.Created * 1000).toISOString().replace(".000Z", "Z");
      const by = layer.CreatedBy.replaceAll("\t", " ");
      return {
        ID: truncate ? truncateId(layer.Id) : layer.Id,
        CreatedSince: human ? `${renderHumanDuration(nowMs / 1000 - layer.Created)} ago` : createdAt,
        CreatedAt: createdAt,
        CreatedBy: truncate ? ellipsis(by, 45) : by,
        Size: human ? renderHumanSize(layer.Size, 3) : String(layer.Size),
        Comment: layer.Comment,
      };
    });
    const format = flags.bool("quiet") && !flags.isSet("format") ? "{{.ID}}" : flags.string("format");
    const spec = human ? table : { ...table, defaultTable: table.defaultTable.replace("CreatedSince", "CreatedAt") };
    await context.out(renderRows(spec, rows, format, process.stdout.isTTY));
    return 0;
  },
};
