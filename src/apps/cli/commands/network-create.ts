// `gantry network create`. Source: the docker CLI 28.

import { createNetwork } from "../../../client/networks.ts";
import type { Flags } from "../../../base/flags.ts";
import type { Command } from "../command.ts";
import { complaintOf, parseLabel } from "../create-request/values.ts";
import { escapeControls } from "../escape.ts";
import { planPools } from "../network-pools.ts";
import { listFlag, listOf, pairsOf } from "../pair-flags.ts";

function isSetOr(flags: Flags, name: string): boolean | undefined {
  return flags.isSet(name) ? flags.bool(name) : undefined;
}

export const command: Command = {
  usage: "[OPTIONS] NETWORK",
  flags: [
    { name: "attachable", kind: "bool", usage: "Let containers be attached by hand" },
    {
      name: "aux-address",
      kind: "strings",
      valueName: "map",
      shownDefault: "map[]",
      usage: "Addresses that are never given to a container",
    },
    { name: "config-from", kind: "string", usage: "Network to take the configuration from" },
    { name: "config-only", kind: "bool", usage: "Make a configuration for other networks only" },
    { name: "driver", short: "d", kind: "string", default: "bridge", usage: "Driver of the network" },
    listFlag("gateway", "IPv4 or IPv6 gateway of a subnet"),
    { name: "ingress", kind: "bool", usage: "Make the swarm's routing-mesh network" },
    { name: "internal", kind: "bool", usage: "Keep the network apart from the outside" },
    listFlag("ip-range", "Part of a subnet that containers' addresses are taken from"),
    { name: "ipam-driver", kind: "string", default: "default", usage: "Driver that manages addresses" },
    {
      name: "ipam-opt",
      kind: "strings",
      valueName: "map",
      shownDefault: "map[]",
      usage: "Option of the driver that manages addresses",
    },
    { name: "ipv4", kind: "bool", default: "true", usage: "Give IPv4 addresses" },
    { name: "ipv6", kind: "bool", usage: "Give IPv6 addresses" },
    { name: "label", kind: "strings", usage: "Set a label", complain: complaintOf(parseLabel) },
    {
      name: "opt",
      short: "o",
      kind: "strings",
      valueName: "map",
      shownDefault: "map[]",
      usage: "Option of the driver",
    },
    { name: "scope", kind: "string", usage: "Scope of the network" },
    listFlag("subnet", "Subnet in CIDR form"),
  ],
  args: { min: 1, max: 1 },
  async run(context, flags) {
    const [name = ""] = flags.positional;
    const configFrom = flags.string("config-from");
    const ipv4 = isSetOr(flags, "ipv4");
    const ipv6 = isSetOr(flags, "ipv6");
    const created = await createNetwork(context.client, {
      Name: name,
      Driver: flags.string("driver"),
      Scope: flags.string("scope"),
      ...(ipv4 === undefined ? {} : { EnableIPv4: ipv4 }),
      ...(ipv6 === undefined ? {} : { EnableIPv6: ipv6 }),
      IPAM: {
        Driver: flags.string("ipam-driver"),
        Config: planPools({
          subnets: listOf(flags, "subnet"),
          ranges: listOf(flags, "ip-range"),
          gateways: listOf(flags, "gateway"),
          auxiliary: pairsOf(flags.strings("aux-address")),
        }),
        Options: pairsOf(flags.strings("ipam-opt")),
      },
      Internal: flags.bool("internal"),
      Attachable: flags.bool("attachable"),
      Ingress: flags.bool("ingress"),
      ConfigOnly: flags.bool("config-only"),
      ConfigFrom: configFrom === "" ? null : { Network: configFrom },
      Options: pairsOf(flags.strings("opt")),
      Labels: pairsOf(flags.strings("label")),
    });
    if (created.Warning) context.err(`WARNING: ${escapeControls(created.Warning)}\n`);
    await context.out(`${created.Id ?? ""}\n`);
    return 0;
  },
};
