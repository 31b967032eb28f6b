// `gantry image inspect`. Source: the docker CLI 28.

import { inspectImageRaw } from "../../../client/images.ts";
import { CliError, type Command } from "../command.ts";
import { objectFormatFlag } from "../format-flag.ts";
import { inspectObjects } from "../inspect.ts";
import { platformParameter } from "../platform.ts";

export const command: Command = {
  usage: "[OPTIONS] IMAGE [IMAGE...]",
  flags: [objectFormatFlag, { name: "platform", kind: "string", usage: "Platform of the image, os[/arch[/variant]]" }],
  args: { min: 1, max: Number.POSITIVE_INFINITY },
  async run(context, flags) {
    let platform: string | undefined;
    try {
      platform = platformParameter(flags.string("platform"));
    } catch (error) {
      throw new CliError((error as Error).message.replace("invalid platform: ", ""));
    }
    await inspectObjects(context, flags.positional, flags.string("format"), (name) =>
      inspectImageRaw(context.client, name, { platform }),
    );
    return 0;
  },
};
