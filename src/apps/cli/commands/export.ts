// `gantry export`. Source: the docker CLI 28.

import { exportContainer } from "../../../client/containers.ts";
import type { Command } from "../command.ts";
import { writeArchive } from "../output-file.ts";

export const command: Command = {
  usage: "[OPTIONS] CONTAINER",
  flags: [{ name: "output", short: "o", kind: "string", usage: "File to write, instead of stdout" }],
  args: { min: 1, max: 1 },
  async run(context, flags) {
    const [name = ""] = flags.positional;
    await writeArchive(flags.string("output"), "failed to export container", context.out, () =>
      exportContainer(context.client, name),
    );
    return 0;
  },
};
