// `gantry start`: starts containers; with -a or -i one of them, attached. Source: the docker CLI 28.

import type { Flags } from "../../../base/flags.ts";
import {
  actOnContainer,
  attachContainer,
  inspectContainerRaw,
  resizeContainer,
  startContainer,
} from "../../../client/containers.ts";
import { CliError, type Command, type CommandContext } from "../command.ts";
import { describeError } from "../errors.ts";
import { escapeControls } from "../escape.ts";
import { watchExit } from "../exit-status.ts";
import { runSession } from "../stream-session.ts";
import { detachKeysOf, followTerminalSize, forwardSignals, requireTerminal } from "../terminal.ts";

async function startAttached(context: CommandContext, flags: Flags, name: string): Promise<number> {
  const { client } = context;
  const { value } = await inspectContainerRaw(client, name);
  const id = value.Id ?? name;
  const tty = value.Config?.Tty === true;
  const stdin = flags.bool("interactive") && value.Config?.OpenStdin === true;
  requireTerminal(stdin, tty);
  using signals = tty ? undefined : forwardSignals(tty, (signal) => actOnContainer(client, id, "kill", { signal }));
  void signals;
  const detachKeys = detachKeysOf(flags.string("detach-keys"), context.configDir);
  const options = { stdin, stdout: true, stderr: true, detachKeys };
  const stream = await attachContainer(client, id, options);
  const exit = await watchExit(client, id, value.HostConfig?.AutoRemove === true ? "removed" : "next-exit");
  let sizes: Disposable | undefined;
  try {
    const end = await runSession(stream, { ...options, tty }, async () => {
      await startContainer(client, id);
      if (tty) sizes = followTerminalSize((rows, columns) => resizeContainer(client, id, rows, columns));
    });
    return end === "detached" ? 0 : await exit.code;
  } finally {
    sizes?.[Symbol.dispose]();
  }
}

export const command: Command = {
  usage: "[OPTIONS] CONTAINER [CONTAINER...]",
  flags: [
    { name: "attach", short: "a", kind: "bool", usage: "Attach stdout and stderr, and pass signals on" },
    { name: "checkpoint", kind: "string", usage: "Restore from this checkpoint", hidden: true },
    { name: "checkpoint-dir", kind: "string", usage: "Directory of checkpoints", hidden: true },
    { name: "detach-keys", kind: "string", usage: "Key sequence that detaches from the container" },
    { name: "interactive", short: "i", kind: "bool", usage: "Attach stdin" },
  ],
  args: { min: 1, max: Number.POSITIVE_INFINITY },
  async run(context, flags) {
    const names = flags.positional;
    if (flags.string("checkpoint") !== "" || flags.string("checkpoint-dir") !== "")
      throw new CliError("checkpoints are not supported");
    if (flags.bool("attach") || flags.bool("interactive")) {
      if (names.length > 1) throw new CliError("you cannot start and attach multiple containers at once");
      return startAttached(context, flags, names[0] ?? "");
    }
    const failed: string[] = [];
    for (const name of names) {
      try {
        await startContainer(context.client, name);
        await context.out(`${name}\n`);
      } catch (error) {
        context.err(`${escapeControls(describeError(error))}\n`);
        failed.push(name);
      }
    }
    if (failed.length > 0) throw new CliError(`Error: failed to start containers: ${failed.join(", ")}`);
    return 0;
  },
};
