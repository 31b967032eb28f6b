// `gantry pull`. Source: the docker CLI 28.

import { CliError, type Command } from "../command.ts";
import { pullImage } from "../pull.ts";
import { withDefaultTag } from "../reference.ts";

export const command: Command = {
  usage: "[OPTIONS] NAME[:TAG|@DIGEST]",
  flags: [
    { name: "all-tags", short: "a", kind: "bool", usage: "Fetch all tags of the repository" },
    { name: "disable-content-trust", kind: "bool", default: "true", usage: "Skip image verification", hidden: true },
    { name: "platform", kind: "string", usage: "Platform of the image, os[/arch[/variant]]" },
    { name: "quiet", short: "q", kind: "bool", usage: "Show no progress" },
  ],
  args: { min: 1, max: 1 },
  async run(context, flags) {
    const [name = ""] = flags.positional;
    let reference: string;
    try {
      reference = withDefaultTag(name);
    } catch (error) {
      throw new CliError((error as Error).message);
    }
    if (!flags.isSet("quiet") && reference !== name && !flags.bool("all-tags"))
      await context.out("Using default tag: latest\n");
    const quiet = flags.bool("quiet");
    await pullImage(
      context,
      name,
      { platform: flags.string("platform"), quiet, allTags: flags.bool("all-tags") },
      context.out,
    );
    if (quiet) await context.out(`${reference}\n`);
    return 0;
  },
};
