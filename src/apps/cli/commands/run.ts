// `gantry run`: create, attach, start, wait. The exit code is the container's; 125 when the daemon refused, 126 and 127 when
// the program could not be run.

import type { Flags } from "../../../base/flags.ts";
import { actOnContainer, attachContainer, resizeContainer, startContainer } from "../../../client/containers.ts";
import { CliError, type Command, type CommandContext } from "../command.ts";
import { createFromFlags, creationError, creationFlags } from "../create-container.ts";
import { planCreate, type CreateBody } from "../create-request/body.ts";
import { containerFlags } from "../create-request/flags.ts";
import { describeError } from "../errors.ts";
import { startFailureCode, watchExit } from "../exit-status.ts";
import { runSession } from "../stream-session.ts";
import { detachKeysOf, followTerminalSize, forwardSignals, requireTerminal, terminalSize } from "../terminal.ts";

function plan(context: CommandContext, flags: Flags, detached: boolean): CreateBody {
  try {
    return planCreate(flags, detached, context.env);
  } catch (error) {
    const { message } = creationError(error);
    throw new CliError(message, { exitCode: 125, hint: true });
  }
}

function withConsoleSize(body: CreateBody): CreateBody {
  const size = body.Tty === true ? terminalSize() : undefined;
  return size === undefined ? body : { ...body, HostConfig: { ...body.HostConfig, ConsoleSize: size } };
}

export const command: Command = {
  usage: "[OPTIONS] IMAGE [COMMAND] [ARG...]",
  flags: [
    ...containerFlags,
    ...creationFlags,
    { name: "detach", short: "d", kind: "bool", usage: "Run in the background and print the container's id" },
    { name: "detach-keys", kind: "string", usage: "Key sequence that detaches from the container" },
    { name: "sig-proxy", kind: "bool", default: "true", usage: "Pass signals on to the process" },
  ],
  interspersed: false,
  args: { min: 1, max: Number.POSITIVE_INFINITY },
  async run(context, flags) {
    const { client } = context;
    const detached = flags.bool("detach");
    if (detached && flags.strings("attach").length > 0)
      throw new CliError("conflicting options: cannot specify both --attach and --detach");
    const planned = plan(context, flags, detached);
    const tty = planned.Tty === true;
    if (!detached) requireTerminal(planned.AttachStdin === true, tty);
    const body = withConsoleSize(planned);
    const id = await createFromFlags(context, flags, body).catch((error: unknown) => {
      throw creationError(error);
    });
    const start = async (): Promise<void> => {
      try {
        await startContainer(client, id);
      } catch (error) {
        throw new CliError(describeError(error), { exitCode: startFailureCode(error), hint: true });
      }
    };
    if (detached) {
      // docker says which container it is even where it does not start.
      await context.out(`${id}\n`);
      await start();
      return 0;
    }
    using signals = flags.bool("sig-proxy")
      ? forwardSignals(tty, (signal) => actOnContainer(client, id, "kill", { signal }))
      : undefined;
    void signals;
    const removed = flags.bool("rm");
    const stream = await attachContainer(client, id, {
      stdin: body.AttachStdin === true,
      stdout: body.AttachStdout === true,
      stderr: body.AttachStderr === true,
      detachKeys: detachKeysOf(flags.string("detach-keys"), context.configDir),
    });
    const exit = await watchExit(client, id, removed ? "removed" : "next-exit");
    let sizes: Disposable | undefined;
    try {
      const end = await runSession(
        stream,
        {
          tty,
          stdin: body.AttachStdin === true,
          stdout: body.AttachStdout === true,
          stderr: body.AttachStderr === true,
          detachKeys: detachKeysOf(flags.string("detach-keys"), context.configDir),
        },
        async () => {
          try {
            await start();
          } catch (error) {
            if (removed) await exit.code.catch(() => undefined);
            throw error;
          }
          if (body.AttachStdout !== true && body.AttachStderr !== true) await context.out(`${id}\n`);
          if (tty) sizes = followTerminalSize((rows, columns) => resizeContainer(client, id, rows, columns));
        },
      );
      if (end === "detached") return 0;
      return await exit.code;
    } finally {
      sizes?.[Symbol.dispose]();
    }
  },
};
