// `gantry volume export`: a volume's files as a tar archive. Gantry's own; dockerd has no such thing.

import { exportVolume } from "../../../client/volumes.ts";
import type { Command } from "../command.ts";
import { writeArchive } from "../output-file.ts";

export const command: Command = {
  usage: "[OPTIONS] VOLUME",
  flags: [
    { name: "output", short: "o", kind: "string", usage: "File to write, instead of stdout" },
    { name: "snapshot", kind: "string", usage: "The volume as it was in this snapshot" },
  ],
  args: { min: 1, max: 1 },
  async run(context, flags) {
    const [name = ""] = flags.positional;
    await writeArchive(flags.string("output"), "failed to export volume", context.out, () =>
      exportVolume(context.client, name, flags.string("snapshot")),
    );
    return 0;
  },
};
