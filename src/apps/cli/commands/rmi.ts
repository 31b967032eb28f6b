// `gantry rmi`. Source: the docker CLI 28.

import { DaemonError } from "../../../client/client.ts";
import { removeImage } from "../../../client/images.ts";
import { describeError } from "../errors.ts";
import { escapeControls } from "../escape.ts";
import { CliError, type Command, JoinedError } from "../command.ts";
import { platformParameter } from "../platform.ts";

function parameterOf(platform: string): readonly string[] {
  try {
    const parameter = platformParameter(platform);
    return parameter === undefined ? [] : [parameter];
  } catch (error) {
    throw new CliError((error as Error).message.replace("invalid platform: ", ""));
  }
}

export const command: Command = {
  usage: "[OPTIONS] IMAGE [IMAGE...]",
  flags: [
    { name: "force", short: "f", kind: "bool", usage: "Remove the image by force" },
    { name: "no-prune", kind: "bool", usage: "Keep untagged parents" },
    {
      name: "platform",
      kind: "strings",
      valueName: "strings",
      usage: "Remove only this platform, os[/arch[/variant]]",
    },
  ],
  args: { min: 1, max: Number.POSITIVE_INFINITY },
  async run(context, flags) {
    const platforms = flags.strings("platform").flatMap((platform) => parameterOf(platform));
    const query = {
      force: flags.bool("force") ? 1 : undefined,
      noprune: flags.bool("no-prune") ? 1 : undefined,
      platforms: platforms.length === 0 ? undefined : platforms,
    };
    const failures: string[] = [];
    let isFatal = false;
    for (const name of flags.positional) {
      try {
        for (const { Deleted, Untagged } of await removeImage(context.client, name, query))
          await context.out(escapeControls(Deleted ? `Deleted: ${Deleted}\n` : `Untagged: ${Untagged ?? ""}\n`));
      } catch (error) {
        if (!(error instanceof DaemonError) || error.status !== 404 || !flags.bool("force")) isFatal = true;
        failures.push(describeError(error));
      }
    }
    if (isFatal) throw new JoinedError(failures);
    if (failures.length > 0) context.err(`${escapeControls(failures.join("\n"))}\n`);
    return 0;
  },
};
