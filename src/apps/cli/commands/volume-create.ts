// `gantry volume create`. Source: the docker CLI 28.

import { createVolume } from "../../../client/volumes.ts";
import { CliError, type Command } from "../command.ts";
import { complaintOf, parseLabel } from "../create-request/values.ts";
import { pairsOf } from "../pair-flags.ts";

export const command: Command = {
  usage: "[OPTIONS] [VOLUME]",
  flags: [
    { name: "driver", short: "d", kind: "string", default: "local", usage: "Driver of the volume" },
    { name: "label", kind: "strings", usage: "Set a label", complain: complaintOf(parseLabel) },
    { name: "name", kind: "string", usage: "Name of the volume", hidden: true },
    {
      name: "opt",
      short: "o",
      kind: "strings",
      valueName: "map",
      shownDefault: "map[]",
      usage: "Option of the driver",
    },
  ],
  args: { min: 0, max: 1 },
  async run(context, flags) {
    const [positional] = flags.positional;
    if (positional !== undefined && flags.string("name") !== "")
      throw new CliError(
        "conflicting options: cannot specify a volume-name through both --name and as a positional arg",
      );
    const name = positional ?? flags.string("name");
    const [options, labels] = [flags.strings("opt"), flags.strings("label")];
    const volume = await createVolume(context.client, {
      ...(name === "" ? {} : { Name: name }),
      Driver: flags.string("driver"),
      ...(options.length === 0 ? {} : { DriverOpts: pairsOf(options) }),
      ...(labels.length === 0 ? {} : { Labels: pairsOf(labels) }),
    });
    await context.out(`${volume.Name}\n`);
    return 0;
  },
};
