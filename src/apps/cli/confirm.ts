// The question before something is removed for good. Source: the docker CLI 28.

import { createInterface } from "node:readline";
import { CliError, type CommandContext } from "./command.ts";

/** @throws CliError the answer was not yes; exit 1, as docker's */
export async function confirm(context: CommandContext, warning: string): Promise<void> {
  await context.out(`${warning}\nAre you sure you want to continue? [y/N] `);
  const lines = createInterface({ input: process.stdin });
  let answer = "";
  for await (const line of lines) {
    answer = line;
    break;
  }
  lines.close();
  if (answer.trim().toLowerCase() === "y") return;
  throw new CliError("");
}
