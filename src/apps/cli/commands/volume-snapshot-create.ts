// `gantry volume snapshot create`. Gantry's own; dockerd has no such thing.

import { snapshotVolume } from "../../../client/volumes.ts";
import type { Command } from "../command.ts";

export const command: Command = {
  usage: "[OPTIONS] VOLUME [SNAPSHOT]",
  flags: [{ name: "comment", kind: "string", usage: "Why it was made" }],
  args: { min: 1, max: 2 },
  async run(context, flags) {
    const [volume = "", name = ""] = flags.positional;
    const made = await snapshotVolume(context.client, volume, { Name: name, Comment: flags.string("comment") });
    await context.out(`${made.Name}\n`);
    return 0;
  },
};
