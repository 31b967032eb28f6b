// `gantry volume rm`: one after the other, the failures joined at the end. Source: the docker CLI 28.

import { removeVolume } from "../../../client/volumes.ts";
import { type Command, JoinedError } from "../command.ts";
import { describeError } from "../errors.ts";

export const command: Command = {
  usage: "[OPTIONS] VOLUME [VOLUME...]",
  flags: [
    {
      name: "force",
      short: "f",
      kind: "bool",
      usage: "Remove snapshots along; do not complain about volumes that do not exist",
    },
  ],
  args: { min: 1, max: Number.POSITIVE_INFINITY },
  async run(context, flags) {
    const failures: string[] = [];
    for (const name of flags.positional)
      try {
        await removeVolume(context.client, name, flags.bool("force"));
        await context.out(`${name}\n`);
      } catch (error) {
        failures.push(describeError(error));
      }
    if (failures.length > 0) throw new JoinedError(failures);
    return 0;
  },
};
