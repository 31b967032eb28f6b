// `gantry exec`: runs a command in a running container; ends with its exit code. Source: the docker CLI 28.

import { setTimeout as sleep } from "node:timers/promises";
import type { Client } from "../../../client/client.ts";
import {
  createExec,
  inspectExec,
  resizeExec,
  startExecAttached,
  startExecDetached,
} from "../../../client/containers.ts";
import { CliError, type Command } from "../command.ts";
import { readEnv } from "../create-request/body.ts";
import { complaintOf, parseEnv } from "../create-request/values.ts";
import { describeError } from "../errors.ts";
import { runSession } from "../stream-session.ts";
import { detachKeysOf, followTerminalSize, requireTerminal, terminalSize } from "../terminal.ts";

export const command: Command = {
  usage: "[OPTIONS] CONTAINER COMMAND [ARG...]",
  flags: [
    { name: "detach", short: "d", kind: "bool", usage: "Run in the background" },
    { name: "detach-keys", kind: "string", usage: "Key sequence that detaches from the command" },
    {
      name: "env",
      short: "e",
      kind: "strings",
      usage: "Set an environment variable",
      complain: complaintOf((value) => parseEnv(value, {})),
    },
    { name: "env-file", kind: "strings", usage: "Read environment variables from a file" },
    { name: "interactive", short: "i", kind: "bool", usage: "Keep stdin open even if not attached" },
    { name: "privileged", kind: "bool", usage: "Give all privileges to the command" },
    { name: "tty", short: "t", kind: "bool", usage: "Allocate a pseudo-terminal" },
    { name: "user", short: "u", kind: "string", usage: 'User of the command (format: "<name|uid>[:<group|gid>]")' },
    { name: "workdir", short: "w", kind: "string", usage: "Working directory of the command" },
  ],
  interspersed: false,
  args: { min: 2, max: Number.POSITIVE_INFINITY },
  async run(context, flags) {
    const { client } = context;
    const [name = "", ...cmd] = flags.positional;
    const detached = flags.bool("detach");
    const tty = flags.bool("tty");
    let env: readonly string[];
    try {
      env = readEnv(flags.strings("env-file"), flags.strings("env"), context.env);
    } catch (error) {
      throw new CliError(describeError(error));
    }
    const stdin = flags.bool("interactive") && !detached;
    if (!detached) requireTerminal(stdin, tty);
    const detachKeys = detachKeysOf(flags.string("detach-keys"), context.configDir);
    const consoleSize = tty && !detached ? terminalSize() : undefined;
    const id = await createExec(client, name, {
      User: flags.string("user"),
      Privileged: flags.bool("privileged"),
      Tty: tty,
      ...(consoleSize === undefined ? {} : { ConsoleSize: consoleSize }),
      AttachStdin: stdin,
      AttachStderr: !detached,
      AttachStdout: !detached,
      Detach: detached,
      DetachKeys: detachKeys,
      Env: env.length === 0 ? null : env,
      WorkingDir: flags.string("workdir"),
      Cmd: cmd,
    });
    if (detached) {
      await startExecDetached(client, id, tty);
      return 0;
    }
    const stream = await startExecAttached(client, id, { tty, consoleSize });
    let sizes: Disposable | undefined;
    try {
      const end = await runSession(stream, { tty, stdin, stdout: true, stderr: true, detachKeys }, async () => {
        if (tty) sizes = followTerminalSize((rows, columns) => resizeExec(client, id, rows, columns));
      });
      if (end === "detached") return 0;
    } finally {
      sizes?.[Symbol.dispose]();
    }
    return readExitCode(client, id);
  },
};

/**
 * The command's exit code. An engine may close the stream a moment before it knows the code; a connection that was cut must
 * not pass for success.
 *
 * @throws CliError the command still runs after five seconds
 */
async function readExitCode(client: Client, id: string): Promise<number> {
  const deadline = performance.now() + 5000;
  for (;;) {
    const { Running, ExitCode } = await inspectExec(client, id);
    if (!Running && ExitCode !== null) return ExitCode;
    if (performance.now() > deadline)
      throw new CliError("the connection ended while the command was running", { exitCode: 125 });
    await sleep(20);
  }
}
