// `gantry volume restore`: a volume becomes what it was. Gantry's own; dockerd has no such thing.

import { restoreVolume } from "../../../client/volumes.ts";
import type { Command } from "../command.ts";
import { escapeControls } from "../escape.ts";

export const command: Command = {
  usage: "[OPTIONS] VOLUME SNAPSHOT",
  flags: [
    {
      name: "discard",
      kind: "bool",
      usage: "Keep no snapshot of what the volume holds now",
    },
  ],
  args: { min: 2, max: 2 },
  async run(context, flags) {
    const [name = "", snapshot = ""] = flags.positional;
    const replaced = await restoreVolume(context.client, name, { snapshot, discard: flags.bool("discard") });
    await context.out(`${name}\n`);
    if (replaced !== undefined)
      context.err(`What it held before is kept as snapshot ${escapeControls(replaced.Name)}\n`);
    return 0;
  },
};
