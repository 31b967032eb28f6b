// `gantry volume import`: a tar archive becomes a volume. Gantry's own; dockerd has no such thing.

import { createReadStream } from "node:fs";
import { open } from "node:fs/promises";
import { importVolume } from "../../../client/volumes.ts";
import { CliError, type Command } from "../command.ts";
import { complaintOf, parseLabel } from "../create-request/values.ts";
import { pairsOf } from "../pair-flags.ts";

export const command: Command = {
  usage: "[OPTIONS] FILE|- VOLUME",
  flags: [{ name: "label", kind: "strings", usage: "Set a label", complain: complaintOf(parseLabel) }],
  args: { min: 2, max: 2 },
  async run(context, flags) {
    const [source = "", name = ""] = flags.positional;
    if (source === "-" && process.stdin.isTTY)
      throw new CliError("refusing to read an archive from a terminal; name a file or redirect stdin");
    if (source !== "-") {
      await using file = await open(source);
      if ((await file.stat()).isDirectory()) throw new CliError(`read ${source}: is a directory`);
    }
    const archive = (source === "-" ? process.stdin : createReadStream(source)) as AsyncIterable<Buffer>;
    const labels = pairsOf(flags.strings("label"));
    const volume = await importVolume(context.client, { name, labels }, archive);
    await context.out(`${volume.Name}\n`);
    return 0;
  },
};
