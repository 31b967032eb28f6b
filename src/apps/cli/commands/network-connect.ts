// `gantry network connect`. Source: the docker CLI 28.

import { connectNetwork } from "../../../client/networks.ts";
import { CliError, type Command } from "../command.ts";
import { unmade } from "../create-request/network.ts";
import { complaintOf, parseLink } from "../create-request/values.ts";
import { listFlag, listOf } from "../pair-flags.ts";

/** @throws CliError a pair without a key or without "=" */
function driverOptions(texts: readonly string[]): Readonly<Record<string, string>> {
  return Object.fromEntries(
    texts.map((text) => {
      const at = text.indexOf("=");
      const key = text.slice(0, Math.max(at, 0)).trim();
      if (key === "") throw new CliError("invalid key/value pair format in driver options");
      return [key, text.slice(at + 1).trim()];
    }),
  );
}

export const command: Command = {
  usage: "[OPTIONS] NETWORK CONTAINER",
  flags: [
    listFlag("alias", "Additional name of the container on the network"),
    listFlag("driver-opt", "Option of the network's driver for this container"),
    {
      name: "gw-priority",
      kind: "int",
      usage: "The network with the highest priority gives the default gateway",
    },
    { name: "ip", kind: "string", usage: 'IPv4 address (e.g., "172.30.100.104")' },
    { name: "ip6", kind: "string", usage: 'IPv6 address (e.g., "2001:db8::33")' },
    { name: "link", kind: "strings", usage: "Link to another container", complain: complaintOf(parseLink) },
    listFlag("link-local-ip", "Link-local address of the container"),
  ],
  args: { min: 2, max: 2 },
  async run(context, flags) {
    const [network = "", container = ""] = flags.positional;
    const [ip, ip6, linkLocal, links] = [
      flags.string("ip"),
      flags.string("ip6"),
      listOf(flags, "link-local-ip"),
      flags.strings("link"),
    ];
    await connectNetwork(context.client, network, container, {
      IPAMConfig: {
        ...(ip === "" ? {} : { IPv4Address: ip }),
        ...(ip6 === "" ? {} : { IPv6Address: ip6 }),
        ...(linkLocal.length === 0 ? {} : { LinkLocalIPs: linkLocal }),
      },
      Links: links.length === 0 ? null : links,
      Aliases: listOf(flags, "alias"),
      MacAddress: "",
      DriverOpts: driverOptions(listOf(flags, "driver-opt")),
      GwPriority: flags.int("gw-priority"),
      ...unmade,
    });
    return 0;
  },
};
