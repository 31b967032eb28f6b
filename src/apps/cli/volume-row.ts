// What lists show of a volume. Source: the docker CLI 28.

import { renderHumanSize } from "../../base/units.ts";
import type { VolumeUsage } from "../../client/disk.ts";
import type { Row } from "./format/formatter.ts";

/** The cells of a volume, of whatever list; sizes are known in that of disk usage only. */
export function volumeRow(volume: VolumeUsage): Row {
  const labels = volume.Labels ?? {};
  const usage = volume.UsageData;
  return {
    Availability: "N/A",
    Driver: volume.Driver ?? "",
    Group: "N/A",
    Label: (name: unknown) => labels[String(name)] ?? "",
    Labels: Object.entries(labels)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, value]) => `${key}=${value}`)
      .join(","),
    Links: usage?.RefCount === undefined ? "N/A" : String(usage.RefCount),
    Mountpoint: volume.Mountpoint ?? "",
    Name: volume.Name ?? "",
    Scope: volume.Scope ?? "",
    Size: usage?.Size === undefined || usage.Size < 0 ? "N/A" : renderHumanSize(usage.Size),
    Status: "N/A",
  };
}
