// Commands over several containers or images: each is tried, its name printed when it worked, the failures joined at the end.

import { JoinedError, type CommandContext } from "./command.ts";
import { describeError } from "./errors.ts";

/**
 * @param print  what to print for a success, the name when missing
 * @throws JoinedError the failures, a line each
 */
export async function forEachName(
  context: CommandContext,
  names: readonly string[],
  act: (name: string) => Promise<unknown>,
  print: (name: string, result: unknown) => string = (name) => `${name}\n`,
): Promise<void> {
  const failures: string[] = [];
  const results = names.map(async (name) => act(name));
  for (const [index, result] of (await Promise.allSettled(results)).entries()) {
    if (result.status === "rejected") failures.push(describeError(result.reason));
    else await context.out(print(names[index] ?? "", result.value));
  }
  if (failures.length > 0) throw new JoinedError(failures);
}
