// `gantry images`: a row per tag, newest first as the daemon lists them. Columns and words as the docker CLI 28's.

import { renderHumanDuration, renderHumanSize } from "../../../base/units.ts";
import { listImages } from "../../../client/images.ts";
import type { ImageSummary } from "../../../spec/docker/image.ts";
import type { Command } from "../command.ts";
import { CliError } from "../command.ts";
import { filterFlag, filtersOf } from "../filter-flag.ts";
import { renderRows, type Row, type TableSpec } from "../format/formatter.ts";
import { renderGoTime } from "../format/go-time.ts";
import { formatOf, truncateId } from "../format/text.ts";
import { listFormatFlag } from "../format-flag.ts";
import { parseReference } from "../reference.ts";

const table: TableSpec = {
  headers: {
    ID: "IMAGE ID",
    Repository: "REPOSITORY",
    Tag: "TAG",
    Digest: "DIGEST",
    CreatedSince: "CREATED",
    CreatedAt: "CREATED AT",
    Size: "SIZE",
    Containers: "CONTAINERS",
    VirtualSize: "SIZE",
    SharedSize: "SHARED SIZE",
    UniqueSize: "UNIQUE SIZE",
  },
  defaultTable: "{{.Repository}}\t{{.Tag}}\t{{.ID}}\t{{.CreatedSince}}\t{{.Size}}",
  typeName: "*formatter.imageContext",
};

interface Name {
  readonly repository: string;
  readonly tag: string;
  readonly digest: string;
}

/** A row per repository and tag; with digests, a row per repository and digest as well. */
function namesOf(image: ImageSummary, withDigests: boolean): readonly Name[] {
  const tags = (image.RepoTags ?? []).filter((tag) => tag !== "<none>:<none>").map(parseReference);
  const digests = (image.RepoDigests ?? []).filter((text) => text !== "<none>@<none>").map(parseReference);
  const names: Name[] = [];
  for (const { familiarName, tag } of tags) {
    const own = digests.filter((digest) => digest.familiarName === familiarName);
    if (withDigests && own.length > 0)
      for (const { digest } of own) names.push({ repository: familiarName, tag, digest });
    else names.push({ repository: familiarName, tag, digest: "<none>" });
  }
  for (const { familiarName, digest } of digests)
    if (!tags.some((tag) => tag.familiarName === familiarName))
      names.push({ repository: familiarName, tag: "<none>", digest });
  return names.length === 0 ? [{ repository: "<none>", tag: "<none>", digest: "<none>" }] : names;
}

function rowOf(image: ImageSummary, name: Name, truncate: boolean, nowMs: number): Row {
  const created = image.Created ?? 0;
  const size = image.Size ?? 0;
  const known = (value: number | undefined): boolean => value !== undefined && value !== -1;
  return {
    Containers: known(image.Containers) ? String(image.Containers) : "N/A",
    CreatedAt: renderGoTime(created),
    CreatedSince: created <= 0 ? "N/A" : `${renderHumanDuration(nowMs / 1000 - created)} ago`,
    Digest: name.digest,
    ID: truncate ? truncateId(image.Id ?? "") : (image.Id ?? ""),
    Repository: name.repository,
    SharedSize: known(image.SharedSize) ? renderHumanSize(image.SharedSize ?? 0) : "N/A",
    Size: renderHumanSize(size, 3),
    Tag: name.tag,
    UniqueSize: known(image.SharedSize) ? renderHumanSize(size - (image.SharedSize ?? 0)) : "N/A",
    VirtualSize: renderHumanSize(size),
  };
}

/** The row of an image under its first name, for disk usage. */
export function imageRow(image: ImageSummary, truncate: boolean, nowMs: number): Row {
  const [name = { repository: "<none>", tag: "<none>", digest: "<none>" }] = namesOf(image, false);
  return rowOf(image, { ...name, digest: "" }, truncate, nowMs);
}

export const command: Command = {
  usage: "[OPTIONS] [REPOSITORY[:TAG]]",
  flags: [
    { name: "all", short: "a", kind: "bool", usage: "Show intermediate images too" },
    { name: "digests", kind: "bool", usage: "Show digests" },
    filterFlag("Show only what fits these conditions", "f"),
    listFormatFlag,
    { name: "no-trunc", kind: "bool", usage: "Show everything in full length" },
    { name: "quiet", short: "q", kind: "bool", usage: "Show ids only" },
    { name: "tree", kind: "bool", usage: "Show platforms as a tree", hidden: true },
  ],
  args: { min: 0, max: 1 },
  async run(context, flags) {
    if (flags.bool("tree")) throw new CliError("--tree is not supported");
    const filters = filtersOf(flags);
    const [wanted] = flags.positional;
    if (wanted !== undefined) filters.set("reference", [...(filters.get("reference") ?? []), wanted]);
    const images = await listImages(context.client, { all: flags.bool("all"), filters });
    const quiet = flags.bool("quiet");
    const format =
      quiet && !flags.isSet("format") ? "{{.ID}}" : formatOf(context, flags.string("format"), "imagesFormat");
    const digests = flags.bool("digests");
    const nowMs = Date.now();
    const rows = images.flatMap((image) =>
      namesOf(image, digests || /\.Digest\b/.test(format)).map((name) =>
        rowOf(image, name, !flags.bool("no-trunc"), nowMs),
      ),
    );
    const spec = digests
      ? { ...table, defaultTable: table.defaultTable.replace("{{.Tag}}", "{{.Tag}}\t{{.Digest}}") }
      : table;
    await context.out(renderRows(spec, rows, format, process.stdout.isTTY));
    return 0;
  },
};
