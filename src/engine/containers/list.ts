// GET /containers/json.

import { isEngineError } from "../../base/errors.ts";
import type { ContainerSummary, EndpointSettings, NetworkSettings } from "../../spec/docker/container.ts";
import type { ListContainersRequest } from "../api/ports.ts";
import { renderPortSummaries } from "../network/index.ts";
import type { Container } from "./container.ts";
import { type FilterContext, impliesAll, parseListFilters } from "./list-filters.ts";
import { type ContainerRecord, startWasTried } from "./model.ts";
import { resolveContainer } from "./resolve.ts";
import type { Room } from "./room.ts";
import { isActive } from "./state.ts";
import { renderStatus } from "./status-text.ts";

/** Newest first. @throws InvalidParameter, NotFound as parseListFilters */
export async function listContainers(room: Room, request: ListContainersRequest): Promise<readonly ContainerSummary[]> {
  const context = filterContext(room);
  const matches = await parseListFilters(request.filters, context);
  const limit = request.limit !== undefined && request.limit > 0 ? request.limit : undefined;
  // As in dockerd, a limit counts containers of all states.
  const all = request.all || limit !== undefined || impliesAll(request.filters);
  const found = [...room.containers.values()]
    .filter(({ record }) => (all || isActive(record.state.status)) && matches(record))
    .sort((a, b) => (a.record.created < b.record.created ? 1 : -1))
    .slice(0, limit);
  const images = await namesToImages(found, context);
  const nowMs = performance.timeOrigin + performance.now();
  if (!request.size) return found.map((container) => renderSummary(room, container, images, nowMs));
  return Promise.all(
    found.map(async (container) => {
      const { writableBytes, totalBytes } = await room.deps.snapshots.usage(container.id);
      const sizes = { ...(writableBytes > 0 ? { SizeRw: writableBytes } : {}), SizeRootFs: totalBytes };
      return renderSummary(room, container, images, nowMs, sizes);
    }),
  );
}

/** What the names that containers were made of mean now: each is looked up once. */
async function namesToImages(
  containers: readonly Container[],
  context: FilterContext,
): Promise<ReadonlyMap<string, string | undefined>> {
  const names = new Set(containers.map(({ record }) => record.config.Image ?? ""));
  return new Map(await Promise.all([...names].map(async (name) => [name, await context.imageOf(name)] as const)));
}

function renderSummary(
  room: Room,
  container: Container,
  images: ReadonlyMap<string, string | undefined>,
  nowMs: number,
  sizes: ContainerSummary = {},
): ContainerSummary {
  const { record } = container;
  const { config, hostConfig, state } = record;
  const annotations = hostConfig.Annotations ?? {};
  const name = config.Image ?? "";
  return {
    Id: record.id,
    Names: [`/${record.name}`],
    // A name that means another image now, or none, would lie.
    Image: images.get(name) === record.imageId ? name : record.imageId,
    ImageID: record.imageId,
    Command: commandText(record),
    // Ours, so in UTC and whole: no need of nanoseconds and of numbers that hold them, a thousand times over.
    Created: Date.parse(`${record.created.slice(0, 19)}Z`) / 1000,
    Ports: portsOf(room, record),
    ...sizes,
    Labels: config.Labels ?? {},
    State: container.shownStatus,
    Status: container.shownStatus === "removing" ? "Removal In Progress" : renderStatus(state, nowMs),
    HostConfig: {
      NetworkMode: hostConfig.NetworkMode ?? "",
      ...(Object.keys(annotations).length > 0 ? { Annotations: annotations } : {}),
    },
    NetworkSettings: { Networks: summarize(settingsOf(room, record).Networks ?? {}) },
    Mounts: record.mounts,
  };
}

/** Words with blanks are quoted, as dockerd does. */
function commandText({ path, args }: ContainerRecord): string {
  const words = args.map((word) => (word.includes(" ") ? `'${word}'` : word));
  return [path, ...words].join(" ");
}

/** As dockerd lists them: names are in inspect alone. */
function summarize(networks: Readonly<Record<string, EndpointSettings>>): Readonly<Record<string, EndpointSettings>> {
  return Object.fromEntries(
    Object.entries(networks).map(([name, settings]) => [name, { ...settings, Aliases: null, DNSNames: null }]),
  );
}

/** Of what runs. */
function portsOf(room: Room, { id, config, state }: ContainerRecord): ContainerSummary["Ports"] {
  if (!isActive(state.status)) return [];
  return renderPortSummaries(room.deps.networks.published(id), Object.keys(config.ExposedPorts ?? {}));
}

function settingsOf(room: Room, record: ContainerRecord): NetworkSettings {
  const { id, name, config, hostConfig, networkingConfig } = record;
  return room.deps.networks.settings({ id, name, config, hostConfig, networkingConfig }, startWasTried(record));
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
    publishedBy: (record) => room.deps.networks.published(record.id),
    networksOf: (record) =>
      Object.entries(settingsOf(room, record).Networks ?? {}).flatMap(([name, endpoint]) => [
        name,
        endpoint.NetworkID ?? "",
      ]),
  };
}
