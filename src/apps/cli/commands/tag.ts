// `gantry tag`. Source: the docker CLI 28.

import { tagImage } from "../../../client/images.ts";
import { parseTarget } from "../reference.ts";
import type { Command } from "../command.ts";

export const command: Command = {
  usage: "SOURCE_IMAGE[:TAG] TARGET_IMAGE[:TAG]",
  flags: [],
  args: { min: 2, max: 2 },
  async run(context, flags) {
    const [source = "", target = ""] = flags.positional;
    const { repository, tag } = parseTarget(target);
    await tagImage(context.client, source, repository, tag);
    return 0;
  },
};
