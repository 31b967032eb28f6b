// A request that needs credentials: where the daemon says that they are missing or wrong, and somebody is at a terminal to be
// asked, they are asked for and the request is made once more. Source: the docker CLI 28, RegistryAuthenticationPrivilegedFunc.

import { DaemonError } from "../../../client/client.ts";
import type { CommandContext } from "../command.ts";
import { renderRegistryAuth } from "./credentials.ts";

/**
 * @param doing "pull", "push", "search"
 * @throws whatever `act` throws
 */
export async function withLogin(
  context: CommandContext,
  doing: string,
  server: string,
  registryAuth: string,
  act: (registryAuth: string) => Promise<void>,
): Promise<void> {
  try {
    await act(registryAuth);
  } catch (error) {
    if (!(error instanceof DaemonError) || error.status !== 401 || !process.stdin.isTTY) throw error;
    await context.out(`\nLogin prior to ${doing}:\n`);
    const { askCredentials } = await import("./prompt.ts");
    const asked = await askCredentials(context, server, { username: "", password: "", suggested: "" });
    const auth = { ...asked, serverAddress: server, identityToken: "", registryToken: "" };
    await act(renderRegistryAuth(auth));
  }
}
