// The exit code of a container that this process is attached to, and of one that could not start. Source: the docker CLI 28.

import type { Client } from "../../client/client.ts";
import { waitContainer } from "../../client/containers.ts";
import { messageOf } from "../../base/errors.ts";
import { CliError } from "./command.ts";

/** Starts watching; `code` resolves with the exit code when the container ended (and, with `removed`, is gone). */
export async function watchExit(
  client: Client,
  id: string,
  condition: "next-exit" | "removed",
): Promise<{ readonly code: Promise<number> }> {
  const { result } = await waitContainer(client, id, condition);
  const failed = (message: string): CliError =>
    new CliError(`Error waiting for container: ${message}`, { exitCode: 125 });
  const code = result.then(
    ({ StatusCode = 0, Error: failure }) => {
      if (failure?.Message) throw failed(failure.Message);
      return StatusCode;
    },
    (error: unknown) => {
      throw failed(messageOf(error));
    },
  );
  code.catch(() => undefined);
  return { code };
}

/** 127 when the program was not found, 126 when it may not be run, 125 for everything else. */
export function startFailureCode(error: unknown): number {
  const message = messageOf(error);
  if (/executable file not found|no such file or directory|system cannot find the file specified/.test(message))
    return 127;
  return /permission denied|is a directory/.test(message) ? 126 : 125;
}
