// `gantry attach`: joins a running container's input and output; ends with its exit code. Source: the docker CLI 28.

import { actOnContainer, attachContainer, inspectContainerRaw, resizeContainer } from "../../../client/containers.ts";
import { CliError, type Command } from "../command.ts";
import { watchExit } from "../exit-status.ts";
import { runSession } from "../stream-session.ts";
import { detachKeysOf, followTerminalSize, forwardSignals, requireTerminal } from "../terminal.ts";

export const command: Command = {
  usage: "[OPTIONS] CONTAINER",
  flags: [
    { name: "detach-keys", kind: "string", usage: "Key sequence that detaches from the container" },
    { name: "no-stdin", kind: "bool", usage: "Leave stdin alone" },
    { name: "sig-proxy", kind: "bool", default: "true", usage: "Pass signals on to the process" },
  ],
  args: { min: 1, max: 1 },
  async run(context, flags) {
    const { client } = context;
    const [name = ""] = flags.positional;
    const { value } = await inspectContainerRaw(client, name);
    const id = value.Id ?? name;
    if (value.State?.Running !== true) throw new CliError("You cannot attach to a stopped container, start it first");
    if (value.State.Paused === true) throw new CliError("You cannot attach to a paused container, unpause it first");
    if (value.State.Restarting === true)
      throw new CliError("You cannot attach to a restarting container, wait until it is running");
    const tty = value.Config?.Tty === true;
    const stdin = !flags.bool("no-stdin") && value.Config?.OpenStdin === true;
    requireTerminal(stdin, tty);
    using signals =
      flags.bool("sig-proxy") && !tty
        ? forwardSignals(tty, (signal) => actOnContainer(client, id, "kill", { signal }))
        : undefined;
    void signals;
    const detachKeys = detachKeysOf(flags.string("detach-keys"), context.configDir);
    const options = { stdin, stdout: true, stderr: true, detachKeys };
    const exit = await watchExit(client, id, "next-exit");
    const stream = await attachContainer(client, id, options);
    let sizes: Disposable | undefined;
    try {
      const end = await runSession(stream, { ...options, tty }, async () => {
        if (tty) sizes = followTerminalSize((rows, columns) => resizeContainer(client, id, rows, columns));
      });
      if (end === "detached") {
        context.err("read escape sequence\n");
        return 1;
      }
      return await exit.code;
    } finally {
      sizes?.[Symbol.dispose]();
    }
  },
};
