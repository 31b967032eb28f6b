// docker image inspect and history, in the style of dockerd's graph drivers. Source: Engine API 1.51, ImageInspect and
// ImageHistory; which members are left out when empty is the reference daemon's.

import { join } from "node:path";
import { zeroTime } from "../../base/time.ts";
import type { ImageConfig, ImageInspect } from "../../spec/docker/image.ts";
import type { ImagesDeps } from "./images.ts";
import { createdSeconds, sizeOf } from "./list.ts";
import { type ImageRecord, type ImageRecords, familiarNames } from "./records.ts";

function hasMembers(value: object | null | undefined): boolean {
  return value !== undefined && value !== null && Object.keys(value).length > 0;
}

function renderConfig(config: ImageConfig): ImageConfig {
  return {
    Cmd: config.Cmd ?? null,
    Entrypoint: config.Entrypoint ?? null,
    Env: config.Env ?? null,
    Labels: config.Labels ?? null,
    OnBuild: config.OnBuild ?? null,
    User: config.User ?? "",
    Volumes: config.Volumes ?? null,
    WorkingDir: config.WorkingDir ?? "",
    ...(hasMembers(config.ExposedPorts) ? { ExposedPorts: config.ExposedPorts ?? {} } : {}),
    ...(config.Healthcheck === undefined ? {} : { Healthcheck: config.Healthcheck }),
    ...(config.ArgsEscaped === true ? { ArgsEscaped: true } : {}),
    ...((config.StopSignal ?? "") === "" ? {} : { StopSignal: config.StopSignal ?? "" }),
    ...(hasMembers(config.Shell) ? { Shell: config.Shell ?? [] } : {}),
  };
}

function renderGraphDriver(deps: ImagesDeps, record: ImageRecord): NonNullable<ImageInspect["GraphDriver"]> {
  const top = record.chain.at(-1);
  const [upper, ...lower] = top !== undefined && deps.snapshots.has(top) ? deps.snapshots.chainDirs(top) : [];
  const data: Record<string, string> = {};
  if (lower.length > 0) data["LowerDir"] = lower.map((directory) => join(directory, "fs")).join(":");
  if (upper !== undefined) {
    data["MergedDir"] = join(upper, "merged");
    data["UpperDir"] = join(upper, "fs");
    data["WorkDir"] = join(upper, "work");
  }
  return { Data: data, Name: "overlay2" };
}

/** GET /images/{name}/json */
export function inspectImage(deps: ImagesDeps, records: ImageRecords, record: ImageRecord): ImageInspect {
  const { config } = record;
  const { tags, digests } = familiarNames(records.referencesOf(record.id));
  return {
    Id: record.id,
    RepoTags: tags,
    RepoDigests: digests,
    Parent: record.parent ?? "",
    Comment: config.comment ?? config.history?.at(-1)?.comment ?? "",
    ...(config.created === undefined ? {} : { Created: config.created }),
    DockerVersion: config.docker_version ?? "",
    Author: config.author ?? "",
    Architecture: config.architecture,
    ...(config.variant === undefined ? {} : { Variant: config.variant }),
    Os: config.os,
    ...(config["os.version"] === undefined ? {} : { OsVersion: config["os.version"] }),
    Size: sizeOf(deps, record),
    GraphDriver: renderGraphDriver(deps, record),
    RootFS: { Type: "layers", Layers: config.rootfs.diff_ids },
    Metadata: { LastTagTime: record.lastTagTime ?? zeroTime },
    Config: renderConfig(config.config ?? {}),
  };
}

export interface HistoryItem {
  readonly Id: string;
  readonly Created: number;
  readonly CreatedBy: string;
  readonly Tags: readonly string[] | null;
  readonly Size: number;
  readonly Comment: string;
}

/** GET /images/{name}/history: newest first; a step has an id and tags where the image of that step is here. */
export function historyOf(deps: ImagesDeps, records: ImageRecords, record: ImageRecord): readonly HistoryItem[] {
  let layer = 0;
  const items = (record.config.history ?? []).map((entry) => {
    const chainId = entry.empty_layer === true ? undefined : record.chain[layer++];
    return {
      Id: "<missing>",
      Created: createdSeconds({ ...record, config: { ...record.config, created: entry.created ?? zeroTime } }),
      CreatedBy: entry.created_by ?? "",
      Tags: null,
      Size: chainId === undefined || !deps.snapshots.has(chainId) ? 0 : deps.snapshots.layerSize(chainId),
      Comment: entry.comment ?? "",
    };
  });
  let image: ImageRecord | undefined = record;
  return items.toReversed().map((item) => {
    if (image === undefined) return item;
    const { id, parent }: ImageRecord = image;
    const { tags } = familiarNames(records.referencesOf(id));
    image = parent === undefined ? undefined : records.get(parent);
    return { ...item, Id: id, Tags: tags.length === 0 ? null : tags };
  });
}
