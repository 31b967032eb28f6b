// GET /containers/json.

import { isEngineError } from "../../base/errors.ts";
import type { ContainerSummary, NetworkSettings } from "../../spec/docker/container.ts";
import type { ListContainersRequest } from "../api/ports.ts";
import type { Container } from "./container.ts";
import { type FilterContext, impliesAll, parseListFilters } from "./list-filters.ts";
import { type ContainerRecord, startWasTried } from "./model.ts";
import { resolveContainer } from "./resolve.ts";
import type { Room } from "./room.ts";
import { isActive } from "./state.ts";
import { renderStatus } from "./status-text.ts";

/** Newest first. @throws InvalidParameter, NotFound as parseListFilters */
export async function listContainers(room: Room, request: ListContainersRequest): Promise<readonly ContainerSummary[]> {
  const matches = await parseListFilters(request.filters, filterContext(room));
  const limit = request.limit !== undefined && request.limit > 0 ? request.limit : undefined;
  // As in dockerd, a limit counts containers of all states.
  const all = request.all || limit !== undefined || impliesAll(request.filters);
  const found = [...room.containers.values()]
    .filter(({ record }) => (all || isActive(record.state.status)) && matches(record))
    .sort((a, b) => (a.record.created < b.record.created ? 1 : -1))
    .slice(0, limit);
  const nowMs = performance.timeOrigin + performance.now();
  if (!request.size) return found.map((container) => renderSummary(room, container, nowMs));
  return Promise.all(
    found.map(async (container) => {
      const { writableBytes, totalBytes } = await room.deps.snapshots.usage(container.id);
      const sizes = { ...(writableBytes > 0 ? { SizeRw: writableBytes } : {}), SizeRootFs: totalBytes };
      return renderSummary(room, container, nowMs, sizes);
    }),
  );
}

function renderSummary(
  room: Room,
  container: Container,
  nowMs: number,
  sizes: ContainerSummary = {},
): ContainerSummary {
  const { record } = container;
  const { config, hostConfig, state } = record;
  const annotations = hostConfig.Annotations ?? {};
  return {
    Id: record.id,
    Names: [`/${record.name}`],
    Image: config.Image ?? "",
    ImageID: record.imageId,
    Command: commandText(record),
    // Ours, so in UTC and whole: no need of nanoseconds and of numbers that hold them, a thousand times over.
    Created: Date.parse(`${record.created.slice(0, 19)}Z`) / 1000,
    Ports: portsOf(record),
    ...sizes,
    Labels: config.Labels ?? {},
    State: container.shownStatus,
    Status: container.shownStatus === "removing" ? "Removal In Progress" : renderStatus(state, nowMs),
    HostConfig: {
      NetworkMode: hostConfig.NetworkMode ?? "",
      ...(Object.keys(annotations).length > 0 ? { Annotations: annotations } : {}),
    },
    NetworkSettings: { Networks: settingsOf(room, record).Networks ?? {} },
    Mounts: record.mounts,
  };
}

/** Words with blanks are quoted, as dockerd does. */
function commandText({ path, args }: ContainerRecord): string {
  const words = args.map((word) => (word.includes(" ") ? `'${word}'` : word));
  return [path, ...words].join(" ");
}

/** Exposed ports of what runs; published ones come with a later issue. */
function portsOf({ config, state }: ContainerRecord): ContainerSummary["Ports"] {
  if (!isActive(state.status)) return [];
  return Object.keys(config.ExposedPorts ?? {}).map((port) => {
    const [number = "0", protocol = "tcp"] = port.split("/");
    return { PrivatePort: Number(number), Type: protocol as "tcp" | "udp" | "sctp" };
  });
}

function settingsOf(room: Room, record: ContainerRecord): NetworkSettings {
  const { id, hostConfig, networkingConfig } = record;
  return room.deps.networks.settings(id, hostConfig, networkingConfig, startWasTried(record)).settings;
}

function filterContext(room: Room): FilterContext {
  return {
    find: (nameOrId) => room.get(resolveContainer(room, nameOrId)).record,
    async imageOf(reference) {
      try {
        return (await room.deps.images.resolve(reference, undefined)).id;
      } catch (error) {
        if (isEngineError(error, "NotFound") || isEngineError(error, "InvalidParameter")) return undefined;
        throw error;
      }
    },
    statusOf: (record) => room.containers.get(record.id)?.shownStatus ?? record.state.status,
    networksOf: (record) =>
      Object.entries(settingsOf(room, record).Networks ?? {}).flatMap(([name, endpoint]) => [
        name,
        endpoint.NetworkID ?? "",
      ]),
  };
}
