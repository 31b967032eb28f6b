// `gantry volume snapshot ls`. Gantry's own; dockerd has no such thing.

import { renderHumanDuration, renderHumanSize } from "../../../base/units.ts";
import { listVolumeSnapshots } from "../../../client/volumes.ts";
import type { VolumeSnapshot } from "../../../spec/docker/volume.ts";
import type { Command } from "../command.ts";
import { renderRows, type Row, type TableSpec } from "../format/formatter.ts";
import { listFormatFlag } from "../format-flag.ts";

const table: TableSpec = {
  headers: {
    Name: "SNAPSHOT",
    Volume: "VOLUME NAME",
    CreatedSince: "CREATED",
    CreatedAt: "CREATED AT",
    Size: "SIZE",
    Shared: "SHARED",
    Comment: "COMMENT",
  },
  defaultTable: "{{.Name}}\t{{.CreatedSince}}\t{{.Size}}\t{{.Shared}}\t{{.Comment}}",
  typeName: "*formatter.volumeSnapshotContext",
};

function rowOf(snapshot: VolumeSnapshot, nowMs: number): Row {
  return {
    Comment: snapshot.Comment,
    CreatedAt: snapshot.CreatedAt,
    CreatedSince: `${renderHumanDuration((nowMs - Date.parse(snapshot.CreatedAt)) / 1000)} ago`,
    Name: snapshot.Name,
    Shared: String(snapshot.Shared),
    Size: renderHumanSize(snapshot.Size),
    Volume: snapshot.Volume,
  };
}

export const command: Command = {
  usage: "[OPTIONS] VOLUME",
  flags: [listFormatFlag, { name: "quiet", short: "q", kind: "bool", usage: "Show names only" }],
  args: { min: 1, max: 1 },
  async run(context, flags) {
    const [volume = ""] = flags.positional;
    const snapshots = [...(await listVolumeSnapshots(context.client, volume))];
    snapshots.sort((a, b) => Date.parse(a.CreatedAt) - Date.parse(b.CreatedAt));
    const format = flags.bool("quiet") && !flags.isSet("format") ? "{{.Name}}" : flags.string("format");
    const nowMs = Date.now();
    const rows = snapshots.map((snapshot) => rowOf(snapshot, nowMs));
    await context.out(renderRows(table, rows, format, process.stdout.isTTY));
    return 0;
  },
};
