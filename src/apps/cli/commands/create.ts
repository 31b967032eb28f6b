// `gantry create`: makes a container and prints its id.

import { CliError, type Command } from "../command.ts";
import { createFromFlags, creationError, creationFlags } from "../create-container.ts";
import { planCreate, type CreateBody } from "../create-request/body.ts";
import { containerFlags } from "../create-request/flags.ts";

export const command: Command = {
  usage: "[OPTIONS] IMAGE [COMMAND] [ARG...]",
  flags: [...containerFlags, ...creationFlags],
  interspersed: false,
  args: { min: 1, max: Number.POSITIVE_INFINITY },
  async run(context, flags) {
    let body: CreateBody;
    try {
      body = planCreate(flags, false, context.env);
    } catch (error) {
      const { message } = creationError(error);
      throw new CliError(message, { exitCode: 125, hint: true });
    }
    await context.out(`${await createFromFlags(context, flags, body)}\n`);
    return 0;
  },
};
