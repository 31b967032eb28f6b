// What the API needs of the engine, and nothing more: each interface is satisfied by a room and handed over in
// daemon/assemble.ts. Arguments are parsed and typed (api/<resource>/parse.ts does that at the door); results are the
// API's own shapes for the newest version (render.ts trims them for older clients). All failures are EngineErrors.

import type { Duplex, Readable } from "node:stream";
import type { ContainerId, ExecId } from "../../base/ids.ts";
import type {
  ContainerConfig,
  ContainerInspectResponse,
  ContainerSummary,
  ContainerTopResponse,
  ContainerWaitResponse,
  HostConfig,
  EndpointSettings,
  NetworkingConfig,
} from "../../spec/docker/container.ts";
import type { DiskUsage } from "../../spec/docker/disk-usage.ts";
import type { EventMessage, SystemInfo, SystemVersion } from "../../spec/docker/system.ts";
import type { ImageDeleteResponseItem, ImageInspect, ImageSummary } from "../../spec/docker/image.ts";
import type { Network } from "../../spec/docker/network.ts";
import type { Volume, VolumeCreateRequest, VolumeList, VolumeSnapshot } from "../../spec/docker/volume.ts";

/** Docker's filters, parsed: key → values, each value with whether it is wanted. `{"a":{"x":true}}` and `{"a":["x"]}` both. */
export type Filters = ReadonlyMap<string, readonly string[]>;

export interface CreateContainerRequest {
  /** With or without its leading slash; undefined lets the engine choose one. */
  readonly name: string | undefined;
  /** `os/arch[/variant]` or undefined. */
  readonly platform: string | undefined;
  readonly config: ContainerConfig;
  readonly hostConfig: HostConfig;
  readonly networkingConfig: NetworkingConfig;
}

export interface ListContainersRequest {
  readonly all: boolean;
  /** Newest n of all states; undefined for no limit. */
  readonly limit: number | undefined;
  readonly size: boolean;
  readonly filters: Filters;
}

export interface AttachRequest {
  readonly stdin: boolean;
  readonly stdout: boolean;
  readonly stderr: boolean;
  /** Live output from now on. */
  readonly stream: boolean;
  /** What was logged so far, first. */
  readonly logs: boolean;
}

/**
 * An open conversation with a process. All errors are thrown before a session exists; afterwards the API only pipes.
 *
 * `duplex` readable side: stdout and stderr as 8-byte-header frames (stdcopy), or raw bytes with a tty; it ends when the
 * process ended and everything was delivered. Writable side: stdin; end() is the end of stdin.
 */
export interface AttachSession {
  readonly tty: boolean;
  readonly duplex: Duplex;
  /**
   * Resolves when the process's exit code can be asked for. The client is told that the output has ended only after this:
   * it asks for the code at once, and only once.
   */
  readonly ended?: Promise<void>;
  /** The client typed the detach keys or hung up; the process goes on. `byKeys` announces the detach event. */
  detach(byKeys: boolean): void;
}

export interface LogsRequest {
  readonly follow: boolean;
  readonly stdout: boolean;
  readonly stderr: boolean;
  /** Nanoseconds since 1970. */
  readonly sinceNs: bigint | undefined;
  readonly untilNs: bigint | undefined;
  /** Number of last lines, undefined for all. */
  readonly tail: number | undefined;
  readonly timestamps: boolean;
  /** Attributes of the log options before each line. */
  readonly details: boolean;
}

export type WaitCondition = "not-running" | "next-exit" | "removed";

export interface CreateExecRequest {
  readonly attachStdin: boolean;
  readonly attachStdout: boolean;
  readonly attachStderr: boolean;
  readonly tty: boolean;
  readonly cmd: readonly string[];
  readonly env: readonly string[];
  readonly user: string;
  readonly workingDir: string;
  readonly privileged: boolean;
  readonly detachKeys: string | undefined;
  /** [height, width] of the terminal, or undefined. */
  readonly consoleSize: readonly [number, number] | undefined;
}

/** GET /exec/{id}/json. Source: Engine API 1.51, operation ExecInspect. */
export interface ExecInspect {
  readonly ID: string;
  readonly Running: boolean;
  readonly ExitCode: number | null;
  readonly ProcessConfig: {
    readonly tty: boolean;
    readonly entrypoint: string;
    readonly arguments: readonly string[];
    readonly privileged: boolean;
    readonly user: string;
  };
  readonly OpenStdin: boolean;
  readonly OpenStderr: boolean;
  readonly OpenStdout: boolean;
  readonly CanRemove: boolean;
  readonly ContainerID: string;
  readonly DetachKeys: string;
  readonly Pid: number;
}

/** A file in a container. `mode` is st_mode; `linkTarget` is "" for all but a link at the end of the path. */
export interface ArchiveStat {
  readonly name: string;
  readonly sizeBytes: number;
  readonly mode: number;
  readonly modifiedNs: bigint;
  readonly linkTarget: string;
}

/** PUT /containers/{id}/archive. */
export interface ExtractRequest {
  readonly path: string;
  /** A directory is not replaced by another kind of file, nor the other way round. */
  readonly noOverwriteDirNonDir: boolean;
  /** Files belong to the container's user instead of who is named in the archive. */
  readonly copyUidGid: boolean;
}

/** Satisfied by containers/. */
export interface ContainersPort {
  /**
   * @param nameOrId name (with or without "/"), full id, or a unique prefix of an id
   * @throws NotFound "No such container: x"
   * @throws InvalidParameter "multiple IDs found with provided prefix: x" (the ids named)
   */
  resolve(nameOrId: string): ContainerId;
  create(
    request: CreateContainerRequest,
    signal: AbortSignal,
  ): Promise<{ readonly id: ContainerId; readonly warnings: readonly string[] }>;
  list(request: ListContainersRequest): Promise<readonly ContainerSummary[]>;
  inspect(id: ContainerId, size: boolean): Promise<ContainerInspectResponse>;
  start(id: ContainerId, signal: AbortSignal): Promise<void>;
  /** @param signalName overrides the container's StopSignal; @param timeoutSeconds overrides StopTimeout, -1 waits for ever */
  stop(
    id: ContainerId,
    signalName: string | undefined,
    timeoutSeconds: number | undefined,
    signal: AbortSignal,
  ): Promise<void>;
  restart(
    id: ContainerId,
    signalName: string | undefined,
    timeoutSeconds: number | undefined,
    signal: AbortSignal,
  ): Promise<void>;
  /** @param signalName "SIGTERM", "TERM", "15"; undefined is SIGKILL */
  kill(id: ContainerId, signalName: string | undefined): Promise<void>;
  pause(id: ContainerId): Promise<void>;
  unpause(id: ContainerId): Promise<void>;
  rename(id: ContainerId, newName: string): Promise<void>;
  /** Resolves when the condition is being watched (headers may go out); `result` resolves when it came true. */
  wait(
    id: ContainerId,
    condition: WaitCondition,
    signal: AbortSignal,
  ): Promise<{ readonly result: Promise<ContainerWaitResponse> }>;
  remove(id: ContainerId, options: { readonly force: boolean; readonly volumes: boolean }): Promise<void>;
  /**
   * Takes a legacy link away: "web/db".
   *
   * @throws NotFound no such link; System the name of a container is no link
   */
  removeLink(name: string): Promise<void>;
  prune(filters: Filters): Promise<{ readonly ContainersDeleted: readonly string[]; readonly SpaceReclaimed: number }>;
  attach(id: ContainerId, request: AttachRequest, signal: AbortSignal): Promise<AttachSession>;
  resize(id: ContainerId, height: number, width: number): Promise<void>;
  /**
   * Connects a container to one more network, whether it runs or not.
   *
   * @throws NotFound; Forbidden already connected, or a network mode that has no others ("container cannot be connected to
   * network endpoints in container mode"); InvalidParameter; Conflict an address in use
   */
  connectNetwork(network: string, container: string, settings: EndpointSettings): Promise<void>;
  /** @param force also what cannot be cleaned up, and a container that is gone */
  disconnectNetwork(network: string, container: string, force: boolean): Promise<void>;
  /** `stream` carries stdcopy frames, or raw bytes with a tty; destroying it stops the reading. */
  logs(
    id: ContainerId,
    request: LogsRequest,
    signal: AbortSignal,
  ): Promise<{ readonly tty: boolean; readonly stream: Readable }>;
  top(id: ContainerId, psArgs: string): Promise<ContainerTopResponse>;
  /** HEAD archive. @throws NotFound "Could not find the file /x in container y" */
  statPath(id: ContainerId, path: string, signal: AbortSignal): Promise<ArchiveStat>;
  /** GET archive: the file or directory as a tar. */
  packPath(
    id: ContainerId,
    path: string,
    signal: AbortSignal,
  ): Promise<{ readonly stat: ArchiveStat; readonly tar: Readable }>;
  /** PUT archive: unpacks a tar, compressed or not. */
  extractInto(id: ContainerId, request: ExtractRequest, tar: Readable, signal: AbortSignal): Promise<void>;
  /** What the container has changed of its image's file system, by path. */
  changes(
    id: ContainerId,
    signal: AbortSignal,
  ): Promise<readonly { readonly path: string; readonly kind: "modified" | "added" | "deleted" }[]>;
  /** The file system as a tar; running or not. */
  export(id: ContainerId, signal: AbortSignal): Promise<Readable>;
  /** Makes an image of a container. @returns the image's id */
  commit(id: ContainerId, request: CommitRequest, signal: AbortSignal): Promise<string>;
}

/** Satisfied by containers/. */
export interface ExecsPort {
  /** @throws NotFound "No such exec instance: x" */
  resolve(id: string): ExecId;
  create(containerId: ContainerId, request: CreateExecRequest): Promise<{ readonly id: ExecId }>;
  /** Runs it; undefined when detached. `consoleSize` is [height, width]. */
  start(
    id: ExecId,
    request: {
      readonly detach: boolean;
      readonly tty: boolean;
      readonly consoleSize: readonly [number, number] | undefined;
    },
    signal: AbortSignal,
  ): Promise<AttachSession | undefined>;
  resize(id: ExecId, height: number, width: number): Promise<void>;
  inspect(id: ExecId): Promise<ExecInspect>;
}

/** A line of progress of pull, push, load and import, as Docker's JSON messages. */
export interface ProgressMessage {
  readonly stream?: string;
  readonly status?: string;
  readonly id?: string;
  readonly progressDetail?: { readonly current?: number; readonly total?: number };
  /** The bar as text, which older clients print. */
  readonly progress?: string;
  readonly error?: string;
  readonly errorDetail?: { readonly message: string; readonly code?: number };
  /** What programs read: `{ID}` of an import, `{Tag, Digest, Size}` of a push. */
  readonly aux?: unknown;
}

/** What a client sent in X-Registry-Auth; all fields "" where it sent none. */
export interface RegistryCredentials {
  readonly username: string;
  readonly password: string;
  readonly identityToken: string;
  readonly registryToken: string;
  readonly serverAddress: string;
}

/** GET /distribution/{name}/json. Source: Engine API 1.51, DistributionInspect. */
export interface DistributionInspect {
  readonly Descriptor: {
    readonly mediaType: string;
    readonly digest: string;
    readonly size: number;
    readonly annotations?: Readonly<Record<string, string>>;
  };
  readonly Platforms: readonly {
    readonly architecture: string;
    readonly os: string;
    readonly "os.version"?: string;
    readonly variant?: string;
  }[];
}

/** POST /commit. */
export interface CommitRequest {
  /** Normalised reference with tag, or undefined for an image without a name. */
  readonly reference: string | undefined;
  readonly comment: string;
  readonly author: string;
  readonly pause: boolean;
  /** Dockerfile instructions. */
  readonly changes: readonly string[];
  /** What the image's config shall be instead of the container's; fields that are missing come from the container. */
  readonly config: ContainerConfig;
}

/** Satisfied by volumes/. All throw NotFound "get x: no such volume". */
export interface VolumesPort {
  /** One of that name and driver that is there already is answered as it is. */
  create(request: VolumeCreateRequest, signal: AbortSignal): Promise<Volume>;
  /** Filters: name, label, driver, dangling. Drivers that do not answer are warnings. */
  list(filters: Filters): Promise<VolumeList>;
  inspect(name: string): Promise<Volume>;
  /** PUT /volumes/{name}: labels may be changed here; dockerd does so for cluster volumes alone. */
  update(name: string, labels: Readonly<Record<string, string>>): Promise<void>;
  /** @param force one that is not there, or whose driver fails, is no error. @throws Conflict containers use it (named) */
  remove(name: string, force: boolean): Promise<void>;
  /** Filters: label, label!, all. Only anonymous ones without `all`. */
  prune(filters: Filters): Promise<{ readonly VolumesDeleted: readonly string[]; readonly SpaceReclaimed: number }>;
  readonly history: VolumeHistoryPort;
}

/** Gantry's own: a volume at other moments, and as a tar. */
export interface VolumeHistoryPort {
  snapshot(
    volume: string,
    request: { readonly name: string; readonly comment: string },
    signal: AbortSignal,
  ): Promise<VolumeSnapshot>;
  snapshots(volume: string): Promise<readonly VolumeSnapshot[]>;
  removeSnapshot(volume: string, snapshot: string): Promise<void>;
  restore(
    volume: string,
    request: { readonly snapshot: string; readonly discard: boolean },
    signal: AbortSignal,
  ): Promise<{ readonly replaced: VolumeSnapshot | undefined }>;
  export(volume: string, snapshot: string | undefined, signal: AbortSignal): Promise<Readable>;
  import(
    request: { readonly name: string; readonly labels: Readonly<Record<string, string>> },
    tar: Readable,
    signal: AbortSignal,
  ): Promise<Volume>;
}

/** Satisfied by images/. */
export interface ImagesPort {
  list(request: {
    readonly all: boolean;
    readonly filters: Filters;
    readonly sharedSize: boolean;
  }): Promise<readonly ImageSummary[]>;
  /**
   * @param platform `os/arch[/variant]` that the image must be for
   * @throws NotFound "No such image: x", or it is for another platform
   */
  inspect(nameOrId: string, platform?: string): Promise<ImageInspect>;
  history(
    nameOrId: string,
    platform?: string,
  ): Promise<
    readonly {
      readonly Id: string;
      readonly Created: number;
      readonly CreatedBy: string;
      readonly Tags: readonly string[] | null;
      readonly Size: number;
      readonly Comment: string;
    }[]
  >;
  /** docker-archive or OCI layout, plain, gzip or zstd. The first yield happens after the archive was recognised. */
  load(
    archive: Readable,
    options: { readonly quiet: boolean; readonly platform: string | undefined },
    signal: AbortSignal,
  ): AsyncIterable<ProgressMessage>;
  /** A root file system as tar, or what is at a URL, becomes an image. */
  import(
    source: Readable | string,
    options: {
      readonly reference: string | undefined;
      readonly message: string;
      readonly changes: readonly string[];
      readonly platform: string | undefined;
    },
    signal: AbortSignal,
  ): AsyncIterable<ProgressMessage>;
  tag(nameOrId: string, repository: string, tag: string): Promise<void>;
  /** `image` with or without tag or digest; `tag` is a tag or a digest and wins. Without either every tag is pulled. */
  pull(
    request: {
      readonly image: string;
      readonly tag: string;
      readonly platform: string | undefined;
      readonly credentials: RegistryCredentials | undefined;
    },
    signal: AbortSignal,
  ): AsyncIterable<ProgressMessage>;
  /** @param tag "" pushes every tag of the repository */
  push(
    request: {
      readonly name: string;
      readonly tag: string;
      readonly platform: string | undefined;
      readonly credentials: RegistryCredentials | undefined;
    },
    signal: AbortSignal,
  ): AsyncIterable<ProgressMessage>;
  /** Names, ids, or repositories (all of their tags) as one archive: docker-archive and OCI layout in one. */
  save(names: readonly string[], platform: string | undefined, signal: AbortSignal): Promise<Readable>;
  prune(
    filters: Filters,
  ): Promise<{ readonly ImagesDeleted: readonly ImageDeleteResponseItem[] | null; readonly SpaceReclaimed: number }>;
  search(
    request: {
      readonly term: string;
      readonly limit: number;
      readonly filters: Filters;
      readonly credentials: RegistryCredentials | undefined;
    },
    signal: AbortSignal,
  ): Promise<
    readonly {
      readonly name: string;
      readonly description: string;
      readonly star_count: number;
      readonly is_official: boolean;
      readonly is_automated: boolean;
    }[]
  >;
  distribution(
    name: string,
    credentials: RegistryCredentials | undefined,
    signal: AbortSignal,
  ): Promise<DistributionInspect>;
  login(
    credentials: RegistryCredentials,
    signal: AbortSignal,
  ): Promise<{ readonly Status: string; readonly IdentityToken: string }>;
  /** Takes a name away, and the image with its last one. @throws NotFound, Conflict */
  remove(
    nameOrId: string,
    options: { readonly force: boolean; readonly noPrune: boolean; readonly platform?: string | undefined },
  ): Promise<readonly ImageDeleteResponseItem[]>;
}

/** The body of POST /networks/create, its types checked and nothing else. */
export type CreateNetworkRequest = Omit<Network, "Id" | "Created" | "Containers" | "Peers"> & { readonly Name: string };

/** Satisfied by network/. Connecting containers is containers/': it has their locks. */
export interface NetworksPort {
  list(filters: Filters): Promise<readonly Network[]>;
  /** @throws NotFound "network x not found"; InvalidParameter an id that is the beginning of several */
  inspect(nameOrId: string, options: { readonly verbose: boolean; readonly scope: string }): Promise<Network>;
  /**
   * @throws InvalidParameter everything that is wrong with the request, a line each
   * @throws Forbidden        a pool that overlaps with another, a name that is reserved
   * @throws Conflict         the name is in use: "network with name x already exists"
   * @throws NotFound         no such driver: "could not find plugin x in v1 plugin registry: plugin not found"; no such ConfigFrom
   * @throws NotImplemented   what the kernel or the engine lacks, by name
   */
  create(request: CreateNetworkRequest): Promise<{ readonly id: string; readonly warning: string }>;
  /** @throws NotFound; Forbidden a built-in network, or "error while removing network: network x id … has active endpoints" */
  remove(nameOrId: string): Promise<void>;
  /** Names of the networks that nobody used. */
  prune(filters: Filters): Promise<readonly string[]>;
  /** The firewall's tables as nft lists them, with their comments: GET /gantry/network/rules. */
  rules(): Promise<string>;
}

/** The query of POST /build, its types checked. Source: Engine API 1.51, ImageBuild. */
export interface BuildImageRequest {
  readonly dockerfile: string;
  readonly tags: readonly string[];
  /** A git repository, a tar or a Dockerfile by URL; "client-session" with `session`; "" where the body is the context. */
  readonly remote: string;
  readonly quiet: boolean;
  readonly noCache: boolean;
  readonly pull: boolean;
  /** Whether the output says that a step's container was removed: after its end, and after its failure. Nothing is kept anyway. */
  readonly remove: boolean;
  readonly forceRemove: boolean;
  readonly memory: number;
  readonly memorySwap: number;
  readonly cpuShares: number;
  readonly cpuPeriod: number;
  readonly cpuQuota: number;
  readonly cpusetCpus: string;
  readonly cpusetMems: string;
  readonly cgroupParent: string;
  readonly networkMode: string;
  readonly extraHosts: readonly string[];
  readonly squash: boolean;
  readonly target: string;
  readonly platform: string;
  readonly shmSize: number;
  readonly ulimits: readonly { readonly Name: string; readonly Soft: number; readonly Hard: number }[];
  /** null takes the value from nowhere: the argument is declared and has none. */
  readonly buildArgs: Readonly<Record<string, string | null>>;
  readonly labels: Readonly<Record<string, string>>;
  readonly cacheFrom: readonly string[];
  readonly outputs: readonly { readonly Type: string; readonly Attrs: Readonly<Record<string, string>> }[];
  /** "1" tells as the classic builder does, "2" in BuildKit's traces. */
  readonly version: "1" | "2";
  readonly session: string;
  readonly buildId: string;
  /** Per registry's host, of X-Registry-Config. */
  readonly registries: ReadonlyMap<string, RegistryCredentials>;
}

/** POST /build/prune. Sizes in bytes; 0 is no bound. */
export interface PruneBuildCacheRequest {
  readonly all: boolean;
  readonly filters: Filters;
  readonly reservedSpace: number;
  readonly maxUsedSpace: number;
  readonly minFreeSpace: number;
}

/** Satisfied by build/ and buildkit/, put together in daemon/. */
export interface BuildPort {
  /**
   * What is wrong with the request is thrown before the first message.
   *
   * @param body the request's; may still be arriving while messages are told
   */
  build(request: BuildImageRequest, body: Readable, signal: AbortSignal): AsyncIterable<ProgressMessage>;
  /** A build that does not run is no error: it may have ended at this moment. */
  cancel(buildId: string): Promise<void>;
  prune(
    request: PruneBuildCacheRequest,
    signal: AbortSignal,
  ): Promise<{ readonly CachesDeleted: readonly string[]; readonly SpaceReclaimed: number }>;
  /** A connection that speaks gRPC from now on. */
  serveGrpc(connection: Duplex): void;
  /** A connection on which we are the client from now on. @throws InvalidParameter a session without an id */
  serveSession(connection: Duplex, headers: Readonly<Record<string, string | readonly string[] | undefined>>): void;
}

/** Satisfied by events/. */
export interface EventsPort {
  /** Past events from `sinceNs` (bounded history), then live ones until `untilNs` or abort. Times are nanoseconds since 1970. */
  subscribe(
    request: { readonly sinceNs: bigint | undefined; readonly untilNs: bigint | undefined; readonly filters: Filters },
    signal: AbortSignal,
  ): AsyncIterable<EventMessage>;
}

/** Satisfied by daemon/. */
export interface SystemPort {
  info(): Promise<SystemInfo>;
  version(): Promise<SystemVersion>;
  /** @param types what to count: containers, images, volumes, build cache */
  diskUsage(types: ReadonlySet<"container" | "image" | "volume" | "build-cache">): Promise<DiskUsage>;
  /** The invariants of durability; an empty list is health. With repair, what could be mended was. */
  check(options: { readonly repair: boolean }): Promise<readonly CheckFinding[]>;
}

/** One violated invariant: GET/POST /gantry/check, `gantry system check`. */
export interface CheckFinding {
  /** "F1" … "F20"; see docs/durability.md. */
  readonly invariant: string;
  readonly subject: string;
  readonly detail: string;
  readonly repaired: boolean;
}

/** Everything that the API is built upon. */
export interface Engine {
  readonly containers: ContainersPort;
  readonly execs: ExecsPort;
  readonly images: ImagesPort;
  readonly networks: NetworksPort;
  readonly volumes: VolumesPort;
  readonly build: BuildPort;
  readonly events: EventsPort;
  readonly system: SystemPort;
}
