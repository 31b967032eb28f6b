// `gantry wait`. Source: the docker CLI 28.

import { waitContainer } from "../../../client/containers.ts";
import { CliError } from "../command.ts";
import { forEachName } from "../each.ts";
import type { Command } from "../command.ts";

export const command: Command = {
  usage: "CONTAINER [CONTAINER...]",
  flags: [],
  args: { min: 1, max: Number.POSITIVE_INFINITY },
  async run(context, flags) {
    await forEachName(
      context,
      flags.positional,
      async (name) => {
        const { result } = await waitContainer(context.client, name, "");
        const { StatusCode, Error: failure } = await result;
        if (failure?.Message) throw new CliError(failure.Message);
        return StatusCode ?? 0;
      },
      (_, code) => `${String(code)}\n`,
    );
    return 0;
  },
};
