// `gantry system df`: what images, containers, volumes and build cache take. Columns and words as the docker CLI 28's; with
// gantryd there is a row more, the blobs that images keep for push, and RECLAIMABLE of images is exact.

import { renderHumanDuration, renderHumanSize } from "../../../base/units.ts";
import { type DiskUsage, diskUsage } from "../../../client/disk.ts";
import type { Command } from "../command.ts";
import { escapeControls } from "../escape.ts";
import { renderRows, type Row, type TableSpec } from "../format/formatter.ts";
import { formatOf, truncateId } from "../format/text.ts";
import { listFormatFlag } from "../format-flag.ts";
import { imageRow } from "./images.ts";
import { volumeRow } from "../volume-row.ts";
import { containerRow } from "./ps.ts";

const summary: TableSpec = {
  headers: { Type: "TYPE", TotalCount: "TOTAL", Active: "ACTIVE", Size: "SIZE", Reclaimable: "RECLAIMABLE" },
  defaultTable: "{{.Type}}\t{{.TotalCount}}\t{{.Active}}\t{{.Size}}\t{{.Reclaimable}}",
  typeName: "*formatter.diskUsageContext",
};

function rowOf(type: string, total: number, active: number, bytes: number, reclaimable: number, percent = true): Row {
  const share = percent && bytes > 0 ? ` (${Math.trunc((reclaimable * 100) / bytes)}%)` : "";
  return {
    Active: String(active),
    Reclaimable: `${renderHumanSize(reclaimable)}${share}`,
    Size: renderHumanSize(bytes),
    TotalCount: String(total),
    Type: type,
  };
}

function sum<T>(items: readonly T[], bytesOf: (item: T) => number | null | undefined): number {
  return items.reduce((total, item) => total + Math.max(0, bytesOf(item) ?? 0), 0);
}

function countOf<T>(items: readonly T[], holds: (item: T) => boolean): number {
  return items.filter(holds).length;
}

/** A row for each kind of object. */
export function summaryRows(usage: DiskUsage): readonly Row[] {
  const [images, containers, volumes, cache] = [
    usage.Images ?? [],
    usage.Containers ?? [],
    usage.Volumes ?? [],
    usage.BuildCache ?? [],
  ];
  const layers = usage.LayersSize ?? 0;
  const used = images.filter((image) => (image.Containers ?? 0) !== 0);
  // As docker reckons, a layer that several images share is reclaimable even where all of them are in use.
  const unique = sum(used, ({ Size, SharedSize }) =>
    Size === -1 || SharedSize === -1 ? 0 : (Size ?? 0) - (SharedSize ?? 0),
  );
  const isActive = ({ State }: (typeof containers)[number]): boolean =>
    ["running", "paused", "restarting"].includes(State ?? "");
  const refs = ({ UsageData }: (typeof volumes)[number]): number => UsageData?.RefCount ?? 0;
  const own = cache.filter(({ Shared }) => Shared !== true);
  const content = usage.Content;
  return [
    rowOf("Images", images.length, used.length, layers, usage.LayersReclaimable ?? layers - unique),
    rowOf(
      "Containers",
      containers.length,
      countOf(containers, isActive),
      sum(containers, ({ SizeRw }) => SizeRw),
      sum(
        containers.filter((container) => !isActive(container)),
        ({ SizeRw }) => SizeRw,
      ),
    ),
    rowOf(
      "Local Volumes",
      volumes.length,
      countOf(volumes, (volume) => refs(volume) > 0),
      sum(volumes, ({ UsageData }) => UsageData?.Size),
      sum(
        volumes.filter((volume) => refs(volume) === 0),
        ({ UsageData }) => UsageData?.Size,
      ),
    ),
    rowOf(
      "Build Cache",
      cache.length,
      countOf(cache, ({ InUse }) => InUse === true),
      sum(own, ({ Size }) => Size),
      sum(
        own.filter(({ InUse }) => InUse !== true),
        ({ Size }) => Size,
      ),
      false,
    ),
    ...(content === undefined
      ? []
      : [rowOf("Image Blobs", content.Count, content.Active, content.Size, content.Reclaimable)]),
  ];
}

interface Section {
  readonly key: string;
  readonly title: string;
  readonly spec: TableSpec;
  readonly rows: (truncate: boolean) => readonly Row[];
}

function sectionsOf(usage: DiskUsage, nowMs: number): readonly Section[] {
  const ago = (time: string | null | undefined): string =>
    time === undefined || time === null ? "" : `${renderHumanDuration((nowMs - Date.parse(time)) / 1000)} ago`;
  const cacheBytes = sum(
    (usage.BuildCache ?? []).filter(({ Shared }) => Shared !== true),
    ({ Size }) => Size,
  );
  return [
    {
      key: "Images",
      title: "Images space usage:",
      spec: imageTable,
      rows: (truncate) => (usage.Images ?? []).map((image) => imageRow(image, truncate, nowMs)),
    },
    {
      key: "Containers",
      title: "Containers space usage:",
      spec: containerTable,
      rows: (truncate) =>
        (usage.Containers ?? []).map((container) => containerRow({ ...container, SizeRootFs: 0 }, truncate, nowMs)),
    },
    {
      key: "Volumes",
      title: "Local Volumes space usage:",
      spec: volumeTable,
      rows: () => (usage.Volumes ?? []).map(volumeRow),
    },
    {
      key: "BuildCache",
      title: `Build cache usage: ${renderHumanSize(cacheBytes)}`,
      spec: cacheTable,
      rows: (truncate) =>
        (usage.BuildCache ?? []).map((entry) => ({
          CacheType: entry.Type ?? "",
          CreatedSince: ago(entry.CreatedAt),
          ID: `${truncate ? truncateId(entry.ID ?? "") : (entry.ID ?? "")}${truncate && entry.InUse === true ? "*" : ""}`,
          InUse: String(entry.InUse === true),
          LastUsedSince: ago(entry.LastUsedAt),
          Shared: String(entry.Shared === true),
          Size: renderHumanSize(entry.Size ?? 0, 3),
          UsageCount: String(entry.UsageCount ?? 0),
        })),
    },
  ];
}

const imageTable: TableSpec = {
  headers: {
    Repository: "REPOSITORY",
    Tag: "TAG",
    ID: "IMAGE ID",
    CreatedSince: "CREATED",
    Size: "SIZE",
    SharedSize: "SHARED SIZE",
    UniqueSize: "UNIQUE SIZE",
    Containers: "CONTAINERS",
  },
  defaultTable:
    "{{.Repository}}\t{{.Tag}}\t{{.ID}}\t{{.CreatedSince}}\t{{.Size}}\t{{.SharedSize}}\t{{.UniqueSize}}\t{{.Containers}}",
  typeName: "*formatter.imageContext",
};
const containerTable: TableSpec = {
  headers: {
    ID: "CONTAINER ID",
    Image: "IMAGE",
    Command: "COMMAND",
    LocalVolumes: "LOCAL VOLUMES",
    Size: "SIZE",
    RunningFor: "CREATED",
    Status: "STATUS",
    Names: "NAMES",
  },
  defaultTable:
    "{{.ID}}\t{{.Image}}\t{{.Command}}\t{{.LocalVolumes}}\t{{.Size}}\t{{.RunningFor}}\t{{.Status}}\t{{.Names}}",
  typeName: "*formatter.ContainerContext",
};
const volumeTable: TableSpec = {
  headers: { Name: "VOLUME NAME", Links: "LINKS", Size: "SIZE" },
  defaultTable: "{{.Name}}\t{{.Links}}\t{{.Size}}",
  typeName: "*formatter.volumeContext",
};
const cacheTable: TableSpec = {
  headers: {
    ID: "CACHE ID",
    CacheType: "CACHE TYPE",
    Size: "SIZE",
    CreatedSince: "CREATED",
    LastUsedSince: "LAST USED",
    UsageCount: "USAGE",
    Shared: "SHARED",
  },
  defaultTable:
    "{{.ID}}\t{{.CacheType}}\t{{.Size}}\t{{.CreatedSince}}\t{{.LastUsedSince}}\t{{.UsageCount}}\t{{.Shared}}",
  typeName: "*formatter.buildCacheContext",
};

/** Every object, in tables one below the other, as JSON, or by a template over the lists of rows. */
export function renderVerbose(usage: DiskUsage, format: string, nowMs: number, isTerminal: boolean): string {
  const sections = sectionsOf(usage, nowMs);
  const { Content } = usage;
  if (format === "json") {
    const lists = sections.map(({ key, spec, rows }) => {
      const lines = renderRows(spec, rows(false), "json", false).trimEnd().split("\n").filter(Boolean);
      return `${JSON.stringify(key)}:[${lines.join(",")}]`;
    });
    return `{${[...lists, ...(Content === undefined ? [] : [`"Content":${JSON.stringify(Content)}`])].join(",")}}`;
  }
  if (format !== "" && !format.startsWith("table")) {
    const all = Object.fromEntries(sections.map(({ key, rows }) => [key, rows(false)]));
    // Docker ends no line here.
    return renderRows(summary, [all], format, isTerminal).replace(/\n$/, "");
  }
  const tables = sections.map(({ title, spec, rows }) => `${title}\n\n${renderRows(spec, rows(true), "", isTerminal)}`);
  if (Content !== undefined)
    tables.push(
      `Image blobs usage: ${renderHumanSize(Content.Size)} in ${Content.Count} blobs, ` +
        `${renderHumanSize(Content.Reclaimable)} reclaimable\n`,
    );
  return tables.join("\n");
}

export const command: Command = {
  usage: "[OPTIONS]",
  flags: [
    listFormatFlag,
    { name: "verbose", short: "v", kind: "bool", usage: "Show every image, container, volume and cache entry" },
  ],
  args: { min: 0, max: 0 },
  async run(context, flags) {
    const usage = await diskUsage(context.client);
    const format = formatOf(context, flags.string("format"), "");
    const { isTTY } = process.stdout;
    const text = flags.bool("verbose")
      ? renderVerbose(usage, format, Date.now(), isTTY)
      : renderRows(summary, summaryRows(usage), format, isTTY);
    await context.out(flags.bool("verbose") && format === "json" ? escapeControls(text) : text);
    return 0;
  },
};
