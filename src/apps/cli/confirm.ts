// The question before something is removed for good. Source: the docker CLI 28.

import { CliError, type CommandContext } from "./command.ts";

async function readLine(): Promise<string> {
  let text = "";
  for await (const chunk of process.stdin as AsyncIterable<Buffer>) {
    text += chunk.toString("utf8");
    if (text.includes("\n")) break;
  }
  return text.split("\n")[0] ?? "";
}

/** @throws CliError the answer was not yes; without a message, and exit 0 as docker has it */
export async function confirm(context: CommandContext, warning: string): Promise<void> {
  await context.out(`${warning}\nAre you sure you want to continue? [y/N] `);
  if ((await readLine()).trim().toLowerCase() !== "y") throw new CliError("", { exitCode: 0 });
}
