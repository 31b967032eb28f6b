// `gantry top`. Source: the docker CLI 28.

import { topContainer } from "../../../client/containers.ts";
import { escapeCell } from "../escape.ts";
import { layOutTabs } from "../format/tabwriter.ts";
import type { Command } from "../command.ts";

export const command: Command = {
  usage: "CONTAINER [ps OPTIONS]",
  flags: [],
  interspersed: false,
  args: { min: 1, max: Number.POSITIVE_INFINITY },
  async run(context, flags) {
    const [name = "", ...psArgs] = flags.positional;
    const { Titles, Processes } = await topContainer(context.client, name, psArgs.join(" "));
    const lines = [Titles ?? [], ...(Processes ?? [])].map((cells) => cells.map(escapeCell).join("\t"));
    await context.out(layOutTabs(`${lines.join("\n")}\n`, { minWidth: 20, padding: 3 }));
    return 0;
  },
};
