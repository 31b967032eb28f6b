// `gantry load`: images from a tar archive, from a file or stdin. Source: the docker CLI 28.

import { createReadStream } from "node:fs";
import { open } from "node:fs/promises";
import { loadImages } from "../../../client/images.ts";
import { CliError, type Command } from "../command.ts";
import { platformParameter } from "../platform.ts";
import { showProgress, streamSink } from "../progress.ts";

export const command: Command = {
  usage: "[OPTIONS]",
  flags: [
    { name: "input", short: "i", kind: "string", usage: "Archive to read, instead of stdin" },
    { name: "platform", kind: "string", usage: "Load only this platform, os[/arch[/variant]]" },
    { name: "quiet", short: "q", kind: "bool", usage: "Show no progress" },
  ],
  args: { min: 0, max: 0 },
  async run(context, flags) {
    const input = flags.string("input");
    if (input === "" && process.stdin.isTTY) throw new CliError("requested load from stdin, but stdin is empty");
    if (input !== "") {
      await using file = await open(input);
      if ((await file.stat()).isDirectory()) throw new CliError(`read ${input}: is a directory`);
    }
    let platform: string | undefined;
    try {
      platform = platformParameter(flags.string("platform"));
    } catch (error) {
      throw new CliError((error as Error).message);
    }
    const archive = (input === "" ? process.stdin : createReadStream(input)) as AsyncIterable<Buffer>;
    const lines = loadImages(context.client, archive, {
      quiet: flags.bool("quiet") || !process.stdout.isTTY,
      platform,
    });
    await showProgress(lines, streamSink(process.stdout, context.out, context.env));
    return 0;
  },
};
