// `gantry pull`. Source: the docker CLI 28.

import { CliError, type Command } from "../command.ts";
import { silentSink, streamSink } from "../progress.ts";
import { pullImage } from "../pull.ts";
import { parseReference, withDefaultTag } from "../reference.ts";

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
    if (!flags.bool("disable-content-trust")) throw new CliError("content trust is not supported");
    const { tag, digest, repository } = parseReference(name);
    const isBare = tag === "" && digest === "";
    const allTags = flags.bool("all-tags");
    const quiet = flags.bool("quiet");
    if (allTags && !isBare) throw new CliError("tag can't be used with --all-tags/-a");
    if (!allTags && isBare && !quiet) await context.out("Using default tag: latest\n");
    const reference = allTags ? name : withDefaultTag(name);
    const sink = quiet ? silentSink : streamSink(process.stdout, context.out, context.env);
    await pullImage(context, reference, { platform: flags.string("platform"), allTags }, sink);
    const at = digest && `@${digest}`;
    await context.out(`${repository}${allTags ? "" : isBare ? ":latest" : `${tag && `:${tag}`}${at}`}\n`);
    return 0;
  },
};
