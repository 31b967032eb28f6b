// `gantry image inspect`. Source: the docker CLI 28.

import { inspectImageRaw } from "../../../client/images.ts";
import type { Command } from "../command.ts";
import { objectFormatFlag } from "../format-flag.ts";
import { inspectObjects } from "../inspect.ts";

export const command: Command = {
  usage: "[OPTIONS] IMAGE [IMAGE...]",
  flags: [objectFormatFlag, { name: "platform", kind: "string", usage: "Platform of the image, os[/arch[/variant]]" }],
  args: { min: 1, max: Number.POSITIVE_INFINITY },
  async run(context, flags) {
    await inspectObjects(context, flags.positional, flags.string("format"), (name) =>
      inspectImageRaw(context.client, name, { platform: flags.string("platform") || undefined }),
    );
    return 0;
  },
};
