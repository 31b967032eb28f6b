// `gantry network rm`: one after the other, the swarm's own network only after a question. Source: the docker CLI 28.

import { DaemonError } from "../../../client/client.ts";
import { inspectNetworkRaw, removeNetwork } from "../../../client/networks.ts";
import { CliError, type Command, type CommandContext } from "../command.ts";
import { confirm } from "../confirm.ts";
import { describeError } from "../errors.ts";
import { escapeControls } from "../escape.ts";

const ingressWarning =
  "WARNING! Before removing the routing-mesh network, make sure all the nodes in your swarm run the same docker engine version. Otherwise, removal may not be effective and functionality of newly create ingress networks will be impaired.";

async function isIngress(context: CommandContext, name: string): Promise<boolean> {
  try {
    return (await inspectNetworkRaw(context.client, name)).value.Ingress === true;
  } catch (error) {
    // Whatever is wrong with the network, its removal says it.
    if (error instanceof DaemonError) return false;
    throw error;
  }
}

export const command: Command = {
  usage: "NETWORK [NETWORK...]",
  flags: [{ name: "force", short: "f", kind: "bool", usage: "Do not complain about networks that do not exist" }],
  args: { min: 1, max: Number.POSITIVE_INFINITY },
  async run(context, flags) {
    let failed = false;
    for (const name of flags.positional)
      try {
        if (await isIngress(context, name)) await confirm(context, ingressWarning);
        await removeNetwork(context.client, name);
        await context.out(`${name}\n`);
      } catch (error) {
        if (error instanceof CliError) throw error;
        if (flags.bool("force") && error instanceof DaemonError && error.status === 404) continue;
        context.err(`${escapeControls(describeError(error))}\n`);
        failed = true;
      }
    return failed ? 1 : 0;
  },
};
