// `gantry network ls`. Columns as the docker CLI 28's.

import { listNetworks } from "../../../client/networks.ts";
import type { Network } from "../../../spec/docker/network.ts";
import type { Command } from "../command.ts";
import { filterFlag, filtersOf } from "../filter-flag.ts";
import { renderRows, type Row, type TableSpec } from "../format/formatter.ts";
import { compareNatural } from "../format/natural-order.ts";
import { renderGoTimeUtc } from "../format/go-time.ts";
import { formatOf, truncateId } from "../format/text.ts";
import { listFormatFlag } from "../format-flag.ts";

const table: TableSpec = {
  headers: {
    ID: "NETWORK ID",
    Name: "NAME",
    Driver: "DRIVER",
    Scope: "SCOPE",
    IPv4: "IPV4",
    IPv6: "IPV6",
    Internal: "INTERNAL",
    Labels: "LABELS",
    CreatedAt: "CREATED AT",
  },
  defaultTable: "{{.ID}}\t{{.Name}}\t{{.Driver}}\t{{.Scope}}",
  typeName: "*network.networkContext",
  methods: ["Label"],
};

function rowOf(network: Network, truncate: boolean): Row {
  const labels = network.Labels ?? {};
  return {
    ID: truncate ? truncateId(network.Id ?? "") : (network.Id ?? ""),
    Name: network.Name ?? "",
    Driver: network.Driver ?? "",
    Scope: network.Scope ?? "",
    IPv4: String(network.EnableIPv4 ?? true),
    IPv6: String(network.EnableIPv6 ?? false),
    Internal: String(network.Internal ?? false),
    Labels: Object.entries(labels)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, value]) => `${key}=${value}`)
      .join(","),
    Label: (name: unknown) => labels[String(name)] ?? "",
    CreatedAt: renderGoTimeUtc(network.Created ?? ""),
  };
}

export const command: Command = {
  usage: "[OPTIONS]",
  flags: [
    filterFlag("Show only what fits these conditions", "f"),
    listFormatFlag,
    { name: "no-trunc", kind: "bool", usage: "Show everything in full length" },
    { name: "quiet", short: "q", kind: "bool", usage: "Show ids only" },
  ],
  args: { min: 0, max: 0 },
  async run(context, flags) {
    const networks = [...(await listNetworks(context.client, filtersOf(flags)))];
    networks.sort((a, b) => compareNatural(a.Name ?? "", b.Name ?? ""));
    const quiet = flags.bool("quiet") && !flags.isSet("format");
    const format = quiet ? "{{.ID}}" : formatOf(context, flags.string("format"), "networksFormat");
    const rows = networks.map((network) => rowOf(network, !flags.bool("no-trunc")));
    await context.out(renderRows(table, rows, format, process.stdout.isTTY));
    return 0;
  },
};
