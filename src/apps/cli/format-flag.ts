// The --format flag's help text, with and without tables.

import type { FlagSpec } from "../../base/flags.ts";

const templateLines = `'json':             Print in JSON format
'TEMPLATE':         Print output using the given Go template`;

export const listFormatFlag: FlagSpec = {
  name: "format",
  kind: "string",
  usage: `Format of the output:
'table':            Print a table with column headers (default)
'table TEMPLATE':   Print a table of the given Go template
${templateLines}`,
};

export const objectFormatFlag: FlagSpec = {
  name: "format",
  short: "f",
  kind: "string",
  usage: `Format of the output:\n${templateLines}`,
};
