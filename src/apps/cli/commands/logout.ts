// `gantry logout`. Entries that older clients wrote with a scheme go as well. Source: the docker CLI 28.

import { defaultServer, eraseCredentials, hostnameOf } from "../auth/credentials.ts";
import type { Command } from "../command.ts";
import { describeError } from "../errors.ts";
import { escapeControls } from "../escape.ts";

export const command: Command = {
  usage: "[SERVER]",
  flags: [],
  args: { min: 0, max: 1 },
  async run(context, flags) {
    const [given = ""] = flags.positional;
    const isDefault = given === "" || given === defaultServer || hostnameOf(given) === "docker.io";
    const host = isDefault ? defaultServer : hostnameOf(given);
    const servers = isDefault ? [host] : [...new Set([given, host, `http://${host}`, `https://${host}`])];
    await context.out(escapeControls(`Removing login credentials for ${host}\n`));
    const failures: string[] = [];
    for (const server of servers) {
      try {
        await eraseCredentials(context, server);
      } catch (error) {
        failures.push(`${server}: ${describeError(error)}\n`);
      }
    }
    if (failures.length === servers.length)
      context.err(escapeControls(`WARNING: could not erase credentials:\n${failures.join("")}`));
    return 0;
  },
};
