// `gantry system check [--repair]`: the daemon's own invariants, and what could be mended. Exit 0 when all is well or was
// repaired, 1 when something is left.

import { checkSystem } from "../../../client/system.ts";
import type { Command } from "../command.ts";
import { renderRows, type TableSpec } from "../format/formatter.ts";
import { listFormatFlag } from "../format-flag.ts";

const table: TableSpec = {
  headers: { Invariant: "INVARIANT", Subject: "SUBJECT", Repaired: "REPAIRED", Detail: "DETAIL" },
  defaultTable: "{{.Invariant}}\t{{.Subject}}\t{{.Repaired}}\t{{.Detail}}",
  typeName: "check.finding",
};

export const command: Command = {
  usage: "[OPTIONS]",
  flags: [listFormatFlag, { name: "repair", kind: "bool", usage: "Mend what can be mended" }],
  args: { min: 0, max: 0 },
  async run(context, flags) {
    const findings = await checkSystem(context.client, flags.bool("repair"));
    const format = flags.string("format");
    if (findings.length === 0 && format === "") {
      await context.out("All invariants hold.\n");
      return 0;
    }
    const rows = findings.map(({ invariant, subject, detail, repaired }) => ({
      Invariant: invariant,
      Subject: subject,
      Repaired: repaired ? "yes" : "no",
      Detail: detail,
    }));
    await context.out(renderRows(table, rows, format, process.stdout.isTTY));
    return findings.every(({ repaired }) => repaired) ? 0 : 1;
  },
};
