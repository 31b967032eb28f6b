// GET /containers/{id}/json: every field that API 1.51 has.

import { join } from "node:path";
import type { ContainerId } from "../../base/ids.ts";
import type { ContainerInspectResponse } from "../../spec/docker/container.ts";
import type { Container } from "./container.ts";
import { renderLinks } from "./container-links.ts";
import { type ContainerRecord, startWasTried } from "./model.ts";
import { networkRequest } from "./network-request.ts";
import { macAddressOf } from "./networking.ts";
import { renderConfig, renderHostConfig } from "./render-config.ts";
import type { Room } from "./room.ts";
import { isActive } from "./state.ts";

/** Name of the snapshotter as Docker's clients know it. */
const storageDriver = "overlay2";

export async function inspectContainer(room: Room, id: ContainerId, size: boolean): Promise<ContainerInspectResponse> {
  const container = room.get(id);
  const { record } = container;
  const usage = size ? await room.deps.snapshots.usage(id) : undefined;
  const { config, hostConfig } = record;
  const wasStarted = startWasTried(record);
  const file = (name: string): string => (wasStarted ? join(room.dataDir(fileOwner(room, record)), name) : "");
  return {
    Id: id,
    Created: record.created,
    Path: record.path,
    Args: record.args,
    State: renderState(container),
    Image: record.imageId,
    ResolvConfPath: file("resolv.conf"),
    HostnamePath: file("hostname"),
    HostsPath: file("hosts"),
    LogPath: wasStarted && hostConfig.LogConfig?.Type !== "none" ? room.logPath(id) : "",
    Name: `/${record.name}`,
    RestartCount: record.restartCount,
    Driver: storageDriver,
    Platform: "linux",
    MountLabel: "",
    ProcessLabel: "",
    AppArmorProfile: "",
    ExecIDs: container.execs.size === 0 ? null : [...container.execs.keys()],
    HostConfig: renderHostConfig({ ...hostConfig, Links: renderLinks(room, record) }),
    GraphDriver: renderDriver(room, record),
    ...(usage === undefined ? {} : { SizeRw: usage.writableBytes, SizeRootFs: usage.totalBytes }),
    Mounts: record.mounts,
    Config: renderConfig({
      ...config,
      MacAddress: macAddressOf(room.deps.networks.canonicalName(hostConfig.NetworkMode ?? ""), record.networkingConfig),
    }),
    NetworkSettings: room.deps.networks.settings(networkRequest(room, record), wasStarted),
  };
}

function renderState(container: Container): ContainerInspectResponse["State"] {
  const { state } = container.record;
  return {
    Status: container.shownStatus,
    Running: isActive(state.status),
    Paused: state.status === "paused",
    Restarting: state.status === "restarting",
    OOMKilled: state.oomKilled,
    Dead: false,
    Pid: state.init?.pid ?? 0,
    ExitCode: state.exitCode,
    Error: state.error,
    StartedAt: state.startedAt,
    FinishedAt: state.finishedAt,
  };
}

/** Who joins another's network has its files. */
function fileOwner(room: Room, { id, hostConfig }: ContainerRecord): ContainerId {
  const peer = /^container:([0-9a-f]{64})$/.exec(hostConfig.NetworkMode ?? "")?.[1] as ContainerId | undefined;
  return peer !== undefined && room.containers.has(peer) ? peer : id;
}

function renderDriver(room: Room, record: ContainerRecord): ContainerInspectResponse["GraphDriver"] {
  const { lower, upper, work } = room.deps.snapshots.dirs(record.id);
  return {
    Data: {
      ID: record.id,
      LowerDir: lower.join(":"),
      MergedDir: join(room.runDir(record.id), "rootfs"),
      UpperDir: upper,
      WorkDir: work,
    },
    Name: storageDriver,
  };
}
