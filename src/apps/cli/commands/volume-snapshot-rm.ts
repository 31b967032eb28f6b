// `gantry volume snapshot rm`. Gantry's own; dockerd has no such thing.

import { removeVolumeSnapshot } from "../../../client/volumes.ts";
import type { Command } from "../command.ts";
import { forEachName } from "../each.ts";

export const command: Command = {
  usage: "VOLUME SNAPSHOT [SNAPSHOT...]",
  flags: [],
  args: { min: 2, max: Number.POSITIVE_INFINITY },
  async run(context, flags) {
    const [volume = "", ...snapshots] = flags.positional;
    await forEachName(context, snapshots, (name) => removeVolumeSnapshot(context.client, volume, name));
    return 0;
  },
};
