// `gantry ps`: containers as a table, JSON or by template. Columns and words as the docker CLI 28's.

import { renderHumanDuration, renderHumanSize } from "../../../base/units.ts";
import { listContainers } from "../../../client/containers.ts";
import type { ContainerSummary } from "../../../spec/docker/container.ts";
import type { Command } from "../command.ts";
import { filterFlag, filtersOf } from "../filter-flag.ts";
import { renderRows, type Row, type TableSpec } from "../format/formatter.ts";
import { renderGoTime } from "../format/go-time.ts";
import { ellipsis, formatOf, quoteGo, truncateId } from "../format/text.ts";
import { listFormatFlag } from "../format-flag.ts";
import { renderPorts } from "../format/ports.ts";
import { parseReference } from "../reference.ts";

const table: TableSpec = {
  headers: {
    ID: "CONTAINER ID",
    Names: "NAMES",
    Image: "IMAGE",
    Command: "COMMAND",
    CreatedAt: "CREATED AT",
    RunningFor: "CREATED",
    Ports: "PORTS",
    State: "STATE",
    Status: "STATUS",
    Size: "SIZE",
    Labels: "LABELS",
    Mounts: "MOUNTS",
    LocalVolumes: "LOCAL VOLUMES",
    Networks: "NETWORKS",
    Platform: "PLATFORM",
  },
  defaultTable: "{{.ID}}\t{{.Image}}\t{{.Command}}\t{{.RunningFor}}\t{{.Status}}\t{{.Ports}}\t{{.Names}}",
  typeName: "*formatter.ContainerContext",
  triedFirst: true,
  methods: ["Label"],
};

function shownImage(container: ContainerSummary, truncate: boolean): string {
  const image = container.Image ?? "";
  if (image === "") return "<no image>";
  if (!truncate) return image;
  const id = truncateId(container.ImageID ?? "");
  if (id === truncateId(image)) return id;
  try {
    const { familiarName, tag } = parseReference(image);
    return tag === "" ? familiarName : `${familiarName}:${tag}`;
  } catch {
    return image;
  }
}

function shownSize(container: ContainerSummary): string {
  const own = renderHumanSize(container.SizeRw ?? 0, 3);
  const all = container.SizeRootFs ?? 0;
  return all > 0 ? `${own} (virtual ${renderHumanSize(all, 3)})` : own;
}

/** The cells of a container, for lists of containers and for disk usage. */
export function containerRow(container: ContainerSummary, truncate: boolean, nowMs: number): Row {
  const created = container.Created ?? 0;
  const labels = Object.entries(container.Labels ?? {}).sort(([a], [b]) => (a < b ? -1 : 1));
  const names = (container.Names ?? []).map((name) => name.replace(/^\//, ""));
  const mounts = (container.Mounts ?? []).map((mount) => mount.Name || mount.Source || "");
  return {
    Command: quoteGo(truncate ? ellipsis(container.Command ?? "", 20) : (container.Command ?? "")),
    CreatedAt: renderGoTime(created),
    ID: truncate ? truncateId(container.Id ?? "") : (container.Id ?? ""),
    Image: shownImage(container, truncate),
    Labels: labels.map(([key, value]) => `${key}=${value}`).join(","),
    Label: (name: unknown) => (container.Labels ?? {})[String(name)] ?? "",
    LocalVolumes: String((container.Mounts ?? []).filter((mount) => mount.Driver === "local").length),
    Mounts: mounts.map((name) => (truncate ? ellipsis(name, 15) : name)).join(","),
    Names: (truncate ? names.filter((name) => !name.includes("/")) : names).join(","),
    Networks: Object.keys(container.NetworkSettings?.Networks ?? {}).join(","),
    Platform: null,
    Ports: renderPorts(container.Ports ?? []),
    RunningFor: `${renderHumanDuration(nowMs / 1000 - created)} ago`,
    Size: shownSize(container),
    State: container.State ?? "",
    Status: container.Status ?? "",
  };
}

export const command: Command = {
  usage: "[OPTIONS]",
  flags: [
    { name: "all", short: "a", kind: "bool", usage: "Show all containers, not only running ones" },
    filterFlag("Show only what fits these conditions", "f"),
    listFormatFlag,
    { name: "last", short: "n", kind: "int", default: "-1", usage: "Show the n newest containers of all states" },
    { name: "latest", short: "l", kind: "bool", usage: "Show the newest container of all states" },
    { name: "no-trunc", kind: "bool", usage: "Show everything in full length" },
    { name: "quiet", short: "q", kind: "bool", usage: "Show ids only" },
    { name: "size", short: "s", kind: "bool", usage: "Show sizes of files" },
  ],
  args: { min: 0, max: 0 },
  async run(context, flags) {
    const quiet = flags.bool("quiet");
    const format = quiet && !flags.isSet("format") ? "{{.ID}}" : formatOf(context, flags.string("format"), "psFormat");
    const size = flags.bool("size") || (/\.Size\b|\bjson +\.[ |}]/.test(format) && !flags.isSet("size"));
    const latest = flags.bool("latest") && flags.int("last") === -1;
    const containers = await listContainers(context.client, {
      all: flags.bool("all"),
      limit: latest ? 1 : flags.int("last"),
      size,
      filters: filtersOf(flags),
    });
    const nowMs = Date.now();
    const rows = containers.map((container) => containerRow(container, !flags.bool("no-trunc"), nowMs));
    const spec = flags.bool("size") ? { ...table, defaultTable: `${table.defaultTable}\t{{.Size}}` } : table;
    await context.out(renderRows(spec, rows, format, process.stdout.isTTY));
    return 0;
  },
};
