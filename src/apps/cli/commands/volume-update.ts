// `gantry volume update`: other labels. Gantry's own; docker changes cluster volumes in this way, which there are none of here.

import { inspectVolumeRaw, updateVolume } from "../../../client/volumes.ts";
import { CliError, type Command } from "../command.ts";
import { complaintOf, parseLabel } from "../create-request/values.ts";
import { listFlag, listOf, pairsOf } from "../pair-flags.ts";

export const command: Command = {
  usage: "[OPTIONS] VOLUME",
  flags: [
    { name: "label", kind: "strings", usage: "Set a label", complain: complaintOf(parseLabel) },
    listFlag("label-rm", "Remove a label"),
  ],
  args: { min: 1, max: 1 },
  async run(context, flags) {
    const [name = ""] = flags.positional;
    const removed = new Set(listOf(flags, "label-rm"));
    const set = pairsOf(flags.strings("label"));
    if (removed.size === 0 && Object.keys(set).length === 0)
      throw new CliError("nothing to change: give --label or --label-rm");
    const { value } = await inspectVolumeRaw(context.client, name);
    const kept = Object.entries(value.Labels ?? {}).filter(([key]) => !removed.has(key));
    await updateVolume(context.client, name, { ...Object.fromEntries(kept), ...set });
    await context.out(`${name}\n`);
    return 0;
  },
};
