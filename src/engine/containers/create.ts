// POST /containers/create: all complaints first, then the writable layer, the directory and one commit.

import { mkdir, rm } from "node:fs/promises";
import { EngineError } from "../../base/errors.ts";
import { failpoint } from "../../base/failpoint.ts";
import { type ContainerId, newContainerId } from "../../base/ids.ts";
import { nowRfc3339Nano, zeroTime } from "../../base/time.ts";
import type { ContainerConfig, HostConfig, NetworkingConfig } from "../../spec/docker/container.ts";
import type { ImageConfig } from "../../spec/docker/image.ts";
import type { CreateContainerRequest } from "../api/ports.ts";
import type { ResolvedImage } from "../images/index.ts";
import { volumeNameErrors } from "../runtime/index.ts";
import { missingSources } from "./bind-sources.ts";
import { Container } from "./container.ts";
import { planLinks } from "./container-links.ts";
import { fillHostConfig } from "./host-config.ts";
import { hostnameOf } from "./hostname.ts";
import { missingPeers } from "./joins.ts";
import { mergeConfig, unsupportedOfImage } from "./merge-config.ts";
import { commandOf, type ContainerRecord, renderContainerRow } from "./model.ts";
import { planContainerMounts } from "./mount-plan.ts";
import { mountPointsOf } from "./mount-points.ts";
import { viewPath } from "./mount-sources.ts";
import { inventName, nameInUse, parseName } from "./names.ts";
import { type PlannedNetworking, planNetworking } from "./networking.ts";
import { type ProvidedMounts, provideMounts } from "./provide-mounts.ts";
import { pinMode } from "./resolve.ts";
import type { Room } from "./room.ts";
import { parseSignal } from "./signals.ts";
import { parseStorageOpt, sizeUnsupported } from "./storage-opt.ts";

/**
 * @throws InvalidParameter what is wrong with the request: all of it, a line each
 * @throws NotImplemented   fields that are not supported yet, by name
 * @throws NotFound         the image
 * @throws Conflict         the name is in use
 */
export async function createContainer(
  room: Room,
  request: CreateContainerRequest,
  signal: AbortSignal,
): Promise<{ readonly id: ContainerId; readonly warnings: readonly string[] }> {
  const { images, snapshots, store } = room.deps;
  // Let go of after everything else, an undo too.
  using held = new DisposableStack();
  await using undo = new AsyncDisposableStack();
  const id = newContainerId();
  const asked = request.config.Image ?? "";
  if (Object.keys(request.config).length === 0)
    throw new EngineError("InvalidParameter", "config cannot be empty in order to create a container");
  if (asked === "") throw noCommand();
  const image = await images.resolve(asked, request.platform);
  held.use(images.hold(image.id));
  const filled = fillHostConfig(request.hostConfig, room.deps.config, room.deps.facts, (mode) => pinMode(room, mode));
  const canonical = (network: string): string => room.deps.networks.canonicalName(network);
  const networking = planNetworking(
    request.config,
    canonical(filled.NetworkMode ?? ""),
    request.networkingConfig,
    canonical,
  );
  const links = planLinks(room, filled);
  const hostConfig = { ...filled, Links: links.links };
  const merged = mergeConfig(networking.config, image.config.config ?? {});
  const planned = planContainerMounts(room, request.hostConfig, merged.Volumes);
  const warnings = await validate(
    room,
    request,
    image.config.config ?? {},
    hostConfig,
    networking,
    planned,
    links.invalid,
  );
  signal.throwIfAborted();

  const name = request.name === undefined || request.name === "" ? undefined : parseName(request.name);
  const taken = name ?? inventName((candidate) => room.names.has(candidate));
  const holder = room.names.get(taken);
  if (holder !== undefined) throw nameInUse(taken, holder);
  room.names.set(taken, id);
  undo.defer(() => void room.names.delete(taken));

  const config: ContainerConfig = { ...merged, Hostname: hostnameOf(id, merged.Hostname, hostConfig) };
  await failpoint("container.create.decided");
  const layer = await snapshots.prepare(id, image.topLayer, parseStorageOpt(hostConfig.StorageOpt));
  undo.defer(() => layer.undo());
  await failpoint("container.create.prepared");
  const provided = await provideMounts(room, id, planned.mounts, layer.dirs.lower, undo, held, signal);
  const record = newRecord(room, id, taken, image, config, hostConfig, networking.networkingConfig, provided);
  await failpoint("container.create.provided");
  undo.defer(() => rm(room.dataDir(id), { recursive: true, force: true }));
  await mkdir(room.dataDir(id), { recursive: true, mode: 0o710 });
  await failpoint("container.create.directory");
  signal.throwIfAborted();
  await store.commit([
    ...provided.changes,
    { insert: "containers", row: renderContainerRow(record) },
    ...layer.changes,
  ]);
  undo.move();
  const container = new Container(record);
  room.containers.set(id, container);
  provided.committed();
  await failpoint("container.create.committed");
  room.announce(container, "create");
  return {
    id,
    warnings: [...warnings, ...platformWarnings(image.config, room.deps.facts.architecture, request.platform)],
  };
}

/** dockerd's words. */
function discarded({ NetworkMode, PortBindings }: HostConfig): readonly string[] {
  return NetworkMode === "host" && Object.keys(PortBindings ?? {}).length > 0
    ? ["Published ports are discarded when using host network mode"]
    : [];
}

/** It may run all the same, with an emulator that the kernel knows. dockerd's words. */
function platformWarnings(
  image: { readonly os?: string; readonly architecture?: string; readonly variant?: string },
  host: string,
  asked: string | undefined,
): readonly string[] {
  const { os = "", architecture = "", variant = "" } = image;
  if ((asked ?? "") !== "" || architecture === "" || architecture === host) return [];
  const platform = variant === "" ? `${os}/${architecture}` : `${os}/${architecture}/${variant}`;
  return [
    `The requested image's platform (${platform}) does not match the detected host platform (linux/${host}) and no specific platform was requested`,
  ];
}

async function validate(
  room: Room,
  request: CreateContainerRequest,
  image: ImageConfig,
  hostConfig: HostConfig,
  networking: PlannedNetworking,
  planned: ReturnType<typeof planContainerMounts>,
  linkComplaints: readonly string[],
): Promise<readonly string[]> {
  const { specs, networks, facts, config } = room.deps;
  const merged = mergeConfig(request.config, image);
  // The spec room judges what the client asked for; defaults of ours are not its business.
  const judged = { ...request.config, WorkingDir: merged.WorkingDir ?? "", Volumes: merged.Volumes ?? null };
  const verdict = specs.validate(judged, request.hostConfig, facts);
  const invalid = [
    ...verdict.invalid,
    ...networks.validate(request.config, request.hostConfig, networking.networkingConfig),
    ...networking.invalid,
    ...linkComplaints,
    ...parseStorageOpt(hostConfig.StorageOpt).errors,
    ...complaints(room, merged, hostConfig),
    ...missingPeers(room, hostConfig),
    ...planned.invalid,
    ...volumeNameErrors(planned.mounts, (volume) => room.deps.volumes.has(volume)),
    ...(await missingSources(planned.mounts)),
  ];
  if (invalid.length > 0) throw new EngineError("InvalidParameter", [...new Set(invalid)].join("\n"));
  await requireLimits(room, hostConfig);
  const unsupported = [...verdict.unsupported, ...unsupportedOfImage(request.config, image)];
  if (hostConfig.Init === true && config.initPath === undefined)
    unsupported.push("HostConfig.Init (no init program is installed)");
  if (unsupported.length > 0) {
    const verb = unsupported.length > 1 ? "are" : "is";
    throw new EngineError("NotImplemented", `${unsupported.join(", ")} ${verb} not supported yet`);
  }
  return [...verdict.warnings, ...networking.warnings, ...discarded(hostConfig)];
}

/** @throws NotImplemented a size is asked for, and the file system cannot keep it */
async function requireLimits(room: Room, { StorageOpt }: HostConfig): Promise<void> {
  if (!parseStorageOpt(StorageOpt).isSized) return;
  const reason = await room.deps.snapshots.limitsUnsupported();
  if (reason !== undefined) throw new EngineError("NotImplemented", sizeUnsupported(reason));
}

function complaints(room: Room, merged: ContainerConfig, hostConfig: HostConfig): readonly string[] {
  const texts: string[] = [];
  if (commandOf(merged).path === "" && (merged.Entrypoint ?? []).length + (merged.Cmd ?? []).length === 0) {
    texts.push(noCommand().message);
  }
  if (merged.StopSignal) {
    try {
      parseSignal(merged.StopSignal);
    } catch (error) {
      if (!(error instanceof EngineError)) throw error;
      texts.push(error.message);
    }
  }
  const runtime = hostConfig.Runtime ?? "";
  if (!Object.hasOwn(room.deps.config.runtimes, runtime)) texts.push(`unknown or invalid runtime name: ${runtime}`);
  return texts;
}

function newRecord(
  room: Room,
  id: ContainerId,
  name: string,
  image: ResolvedImage,
  config: ContainerConfig,
  hostConfig: HostConfig,
  networkingConfig: NetworkingConfig,
  { mounts, volumes }: ProvidedMounts,
): ContainerRecord {
  return {
    id,
    name,
    created: nowRfc3339Nano(),
    imageId: image.id,
    config,
    hostConfig,
    networkingConfig,
    mounts: mountPointsOf(mounts, {
      volume: (volume) => volumes.get(volume)?.mountpoint ?? "",
      image: (index) => viewPath(room, id, index),
    }),
    plannedMounts: mounts,
    ...commandOf(config),
    state: {
      status: "created",
      exitCode: 0,
      error: "",
      oomKilled: false,
      startedAt: zeroTime,
      finishedAt: zeroTime,
      init: undefined,
    },
    restartCount: 0,
    manuallyStopped: false,
  };
}

function noCommand(): EngineError {
  return new EngineError("InvalidParameter", "no command specified");
}
