// `gantry save`. Source: the docker CLI 28.

import { saveImages } from "../../../client/images.ts";
import { CliError, type Command } from "../command.ts";
import { writeArchive } from "../output-file.ts";
import { platformParameter } from "../platform.ts";

export const command: Command = {
  usage: "[OPTIONS] IMAGE [IMAGE...]",
  flags: [
    { name: "output", short: "o", kind: "string", usage: "File to write, instead of stdout" },
    { name: "platform", kind: "string", usage: "Save only this platform, os[/arch[/variant]]" },
  ],
  args: { min: 1, max: Number.POSITIVE_INFINITY },
  async run(context, flags) {
    let platform: string | undefined;
    try {
      platform = platformParameter(flags.string("platform"));
    } catch (error) {
      throw new CliError((error as Error).message);
    }
    await writeArchive(flags.string("output"), "failed to save image", context.out, () =>
      saveImages(context.client, flags.positional, platform),
    );
    return 0;
  },
};
