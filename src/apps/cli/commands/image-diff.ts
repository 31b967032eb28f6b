// `gantry image diff A B`: which files differ between two images, over the API alone: type, content, mode, owner, extended
// attributes and link targets; modification times only when asked for.

import { saveImages } from "../../../client/images.ts";
import { CliError, type Command } from "../command.ts";
import { escapeCell } from "../escape.ts";
import { renderRows, type TableSpec } from "../format/formatter.ts";
import { compareTrees } from "../image-diff/compare.ts";
import { readImageTree } from "../image-diff/archive.ts";
import type { TreeNode } from "../image-diff/layer.ts";
import { platformParameter } from "../platform.ts";

const table: TableSpec = {
  headers: { Kind: "KIND", Path: "PATH", What: "WHAT" },
  defaultTable: "{{.Kind}}\t{{.Path}}\t{{.What}}",
  typeName: "*image.diffContext",
};

export const command: Command = {
  usage: "[OPTIONS] IMAGE IMAGE",
  flags: [
    {
      name: "format",
      kind: "string",
      usage: `Format of the output, lines "A /path" (added), "C /path" (changed) and "D /path" (deleted) without it:
'table':            Print a table with column headers
'table TEMPLATE':   Print a table of the given Go template
'json':             Print in JSON format
'TEMPLATE':         Print output using the given Go template`,
    },
    { name: "platform", kind: "string", usage: "Platform of the images, os[/arch[/variant]]" },
    { name: "times", kind: "bool", usage: "Compare modification times too" },
  ],
  args: { min: 2, max: 2 },
  async run(context, flags) {
    let platform: string | undefined;
    try {
      platform = platformParameter(flags.string("platform"));
    } catch (error) {
      throw new CliError((error as Error).message);
    }
    const trees: TreeNode[] = [];
    for (const name of flags.positional) {
      const archive = await saveImages(context.client, [name], platform);
      try {
        trees.push(await readImageTree(archive));
      } catch (error) {
        throw new CliError(`${name}: ${(error as Error).message}`);
      }
    }
    const [a, b] = trees;
    if (a === undefined || b === undefined) return 1;
    const differences = compareTrees(a, b, flags.bool("times"));
    const format = flags.string("format");
    if (format === "") {
      for (let at = 0; at < differences.length; at += 1000) {
        const lines = differences.slice(at, at + 1000).map(({ kind, path }) => `${kind} ${escapeCell(path)}\n`);
        await context.out(lines.join(""));
      }
      return 0;
    }
    const rows = differences.map(({ kind, path, what }) => ({ Kind: kind, Path: path, What: what.join(",") }));
    await context.out(renderRows(table, rows, format, process.stdout.isTTY));
    return 0;
  },
};
