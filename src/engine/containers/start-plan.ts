// What a start will do, worked out before it does anything: namespaces to join, files to bind, the user's numbers, the
// spec's input and the shim's options. Reads; changes nothing.

import { join } from "node:path";
import { EngineError } from "../../base/errors.ts";
import { cgroupDirectories } from "../kernel/cgroups.ts";
import type { NetworkRequest } from "../network/index.ts";
import {
  parseLogRotation,
  type PlannedMount,
  type ResolvedUser,
  type ShimOptions,
  type SpecInput,
} from "../runtime/index.ts";
import type { ShimLog, ShimNetwork, ShimView } from "../runtime/shim.ts";
import type { OverlayDirs } from "../snapshots/index.ts";
import { shmPathOf } from "./shm.ts";
import { makeBindSources } from "./bind-sources.ts";
import { linkEnvironment, requireLinks } from "./container-links.ts";
import { joinsOf } from "./joins.ts";
import type { ContainerRecord } from "./model.ts";
import { mountsOf } from "./mount-plan.ts";
import { refuseTargets } from "./mount-targets.ts";
import { type FilePaths, filePaths } from "./network-files.ts";
import { networkRequest } from "./network-request.ts";
import type { Room } from "./room.ts";

export interface StartPlan {
  readonly dirs: OverlayDirs;
  readonly mounts: readonly PlannedMount[];
  readonly network: NetworkRequest;
  /** All of it but the user, who is looked up while other things are going on, and the mounts. */
  readonly specInput: Omit<SpecInput, "user" | "mounts">;
  /** Files to write; undefined where another container's are used. */
  readonly ownFiles: FilePaths | undefined;
}

/**
 * @throws System   a container whose namespaces are to be joined is not there or does not run; a bind has no source
 * @throws DataLoss the writable layer is gone
 */
export function planStart(room: Room, record: ContainerRecord): StartPlan {
  const { snapshots, facts, config } = room.deps;
  const { id, hostConfig } = record;
  const dirs = snapshots.dirs(id);
  const mounts = mountsOf(record);
  const { network: peer, pid: pidPeer, ipc: ipcPeer } = joinsOf(room, hostConfig);
  // dockerd: who joins another's network has its names too.
  const named =
    peer === undefined
      ? record.config
      : { ...record.config, Hostname: peer.config.Hostname ?? "", Domainname: peer.config.Domainname ?? "" };
  const networkDisabled = hostConfig.NetworkMode === "host";
  const files = filePaths(room, peer?.id ?? id);
  requireLinks(room, record);
  const network: NetworkRequest = {
    ...networkRequest(room, record),
    config: named,
    joined: peer === undefined ? undefined : namespaceOf(peer, "net"),
  };
  const linked = linkEnvironment(room, record);
  const runtime = runtimeOf(room, record);
  const specInput: StartPlan["specInput"] = {
    id,
    config: linked.length === 0 ? named : { ...named, Env: [...linked, ...(named.Env ?? [])] },
    hostConfig,
    args: [record.path, ...record.args],
    hostname: named.Hostname ?? "",
    rootfsPath: join(room.runDir(id), "rootfs"),
    namespaces: {
      network: networkDisabled ? "host" : (network.joined ?? shimNetworkNamespace(room, record)),
      pid: pidPeer === undefined ? hostOr(hostConfig.PidMode) : namespaceOf(pidPeer, "pid"),
      ipc: ipcPeer === undefined ? hostOr(hostConfig.IpcMode) : namespaceOf(ipcPeer, "ipc"),
      uts: hostOr(hostConfig.UTSMode),
      cgroup: hostOr(hostConfig.CgroupnsMode),
    },
    files,
    shmPath: shmPathOf(room, record, ipcPeer),
    initPath: config.initPath,
    cgroupsPath: room.cgroupPath(record),
    seccomp: undefined,
    facts,
    runtimeTakesBpf: runtime.isCrun,
  };
  return { dirs, mounts, network, specInput, ownFiles: peer === undefined ? files : undefined };
}

/**
 * Looks the user up in the container's files, and makes the sources of binds.
 *
 * @throws System           the user is not there; dockerd answers 500 for it at start
 * @throws InvalidParameter a source is missing that is not to be made, or a link leads a mount into /proc
 */
export async function prepareHost(
  room: Room,
  record: ContainerRecord,
  { dirs, mounts }: Pick<StartPlan, "dirs" | "mounts">,
): Promise<ResolvedUser> {
  const { User = "" } = record.config;
  const roots = [dirs.upper, ...dirs.lower];
  const resolving = room.deps.specs
    .resolveUser(User, record.hostConfig.GroupAdd ?? [], roots)
    .catch((error: unknown): never => {
      throw error instanceof EngineError ? new EngineError("System", error.message, { cause: error }) : error;
    });
  const [user] = await Promise.all([resolving, makeBindSources(mounts), refuseTargets(mounts, roots)]);
  return user;
}

/** What the shim is told. */
export function planShim(
  room: Room,
  record: ContainerRecord,
  plan: StartPlan,
  network: ShimNetwork,
  views: readonly ShimView[],
): ShimOptions {
  const { id, config, hostConfig } = record;
  const runtime = runtimeOf(room, record);
  const [height = 0, width = 0] = hostConfig.ConsoleSize ?? [];
  return {
    id,
    runDir: room.runDir(id),
    exitFile: room.exitFile(id),
    rootfs: { ...plan.dirs, readonly: false },
    ...(views.length > 0 ? { views } : {}),
    network,
    runtime: {
      path: runtime.path,
      args: runtime.args,
      stateRoot: room.runtimeRoot(),
      stateDir: runtime.isCrun ? join(room.runtimeRoot(), id) : undefined,
      sealed: runtime.isCrun,
      hidesUnifiedCgroup: room.deps.facts.hybrid && runtime.isCrun,
    },
    tty: config.Tty === true,
    stdin: config.OpenStdin === true,
    stdinOnce: config.StdinOnce === true,
    consoleSize: height > 0 && width > 0 ? [height, width] : undefined,
    log: logOf(room, record),
    cgroups: cgroupDirectories(room.hierarchies, room.cgroupPath(record)),
  };
}

function logOf(room: Room, record: ContainerRecord): ShimLog | undefined {
  const config = record.hostConfig.LogConfig;
  if (config === undefined || config.Type === "none") return undefined;
  return { path: room.logPath(record.id), ...parseLogRotation(config) };
}

/** @throws InvalidParameter the daemon no longer has the runtime */
function runtimeOf(room: Room, record: ContainerRecord): Room["deps"]["config"]["runtimes"][string] {
  const name = record.hostConfig.Runtime ?? "";
  const runtime = room.deps.config.runtimes[name];
  if (runtime === undefined) throw new EngineError("InvalidParameter", `unknown or invalid runtime name: ${name}`);
  return runtime;
}

function hostOr(mode: string | undefined): "host" | undefined {
  return mode === "host" ? "host" : undefined;
}

function namespaceOf(record: ContainerRecord, kind: "net" | "pid" | "ipc"): string {
  return `/proc/${record.state.init?.pid ?? 0}/ns/${kind}`;
}

/** Where the shim binds the namespace that it makes. */
function shimNetworkNamespace(room: Room, record: ContainerRecord): string {
  return join(room.runDir(record.id), "netns");
}
