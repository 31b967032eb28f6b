// Asking for a user name and a password: the password without echo, and the terminal as it was afterwards whatever happens.
// Source: the docker CLI 28, PromptUserForCredentials; tty(4) echo through stty(1).

import { spawnSync } from "node:child_process";
import { CliError, type CommandContext } from "../command.ts";

const noTerminal = "Error: Cannot perform an interactive login from a non TTY device";

/** A line of stdin without its end; "" at the end of the input. Bytes after the line stay for the next call. */
async function readLine(): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const { stdin } = process;
  let text = "";
  const finish = (): void => {
    stdin.off("data", onData);
    stdin.off("end", finish);
    stdin.off("error", reject);
    stdin.pause();
    const at = text.indexOf("\n");
    if (at >= 0 && at + 1 < text.length) stdin.unshift(Buffer.from(text.slice(at + 1), "utf8"));
    resolve(text.slice(0, at < 0 ? undefined : at).replace(/\r$/, ""));
  };
  const onData = (chunk: Buffer): void => {
    text += chunk.toString("utf8");
    if (text.includes("\n")) finish();
  };
  stdin.on("data", onData);
  stdin.once("end", finish);
  stdin.once("error", reject);
  stdin.resume();
  return promise;
}

function setEcho(isOn: boolean): void {
  spawnSync("stty", [isOn ? "echo" : "-echo"], { stdio: ["inherit", "ignore", "ignore"] });
}

async function readSecret(context: CommandContext): Promise<string> {
  const onSignal = (signal: NodeJS.Signals): void => {
    setEcho(true);
    process.exit(signal === "SIGINT" ? 130 : 143);
  };
  // Before the prompt: who types as soon as it shows is not echoed.
  setEcho(false);
  process.on("SIGINT", onSignal).on("SIGTERM", onSignal);
  try {
    await context.out("Password: ");
    return await readLine();
  } finally {
    process.off("SIGINT", onSignal).off("SIGTERM", onSignal);
    setEcho(true);
    await context.out("\n");
  }
}

/**
 * Fills in what is missing.
 *
 * @param given.suggested the user name of an earlier login, taken when nothing is typed
 * @throws CliError stdin is no terminal, or nothing was typed
 */
export async function askCredentials(
  context: CommandContext,
  server: string,
  given: { readonly username: string; readonly password: string; readonly suggested: string },
): Promise<{ readonly username: string; readonly password: string }> {
  let { username, password } = given;
  if ((username === "" || password === "") && !process.stdin.isTTY) throw new CliError(noTerminal);
  if (username === "") {
    if (server.startsWith("https://index.docker.io"))
      await context.out("Log in with your Docker ID, and a password or an access token.\n");
    await context.out(given.suggested === "" ? "Username: " : `Username (${given.suggested}): `);
    username = (await readLine()).trim() || given.suggested;
    if (username === "") throw new CliError("Error: Non-null Username Required");
  }
  if (password === "") {
    password = await readSecret(context);
    if (password === "") throw new CliError("Error: Password Required");
  }
  return { username, password };
}
