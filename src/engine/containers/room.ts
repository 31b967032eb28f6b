// What the verbs share: the rooms that they build upon, the containers in memory, the locks, and the few ways in which
// a container's record changes. Lock order: a container's mutex, then whatever other rooms take inside.

import { join } from "node:path";
import { EngineError, messageOf } from "../../base/errors.ts";
import type { ContainerId, ExecId } from "../../base/ids.ts";
import type { Logger } from "../../base/log.ts";
import { KeyedMutex } from "../../base/mutex.ts";
import type { Events } from "../events/index.ts";
import type { Files } from "../files/index.ts";
import type { Images } from "../images/index.ts";
import type { CgroupHierarchies } from "../kernel/cgroups.ts";
import type { LogReader } from "../logs/index.ts";
import type { Networks } from "../network/index.ts";
import type { HostFacts, RuntimeSpecs, Shims } from "../runtime/index.ts";
import type { Snapshotter } from "../snapshots/index.ts";
import type { Change, Store } from "../store/index.ts";
import type { Volumes } from "../volumes/index.ts";
import type { Container } from "./container.ts";
import type { Exec } from "./exec.ts";
import { type ContainerRecord, putContainer } from "./model.ts";

export interface RuntimeConfig {
  readonly path: string;
  readonly args: readonly string[];
  /** Takes crun's annotations and needs its way around hybrid cgroups. */
  readonly isCrun: boolean;
}

export interface ContainersConfig {
  /** Absolute cgroup path under which each container gets one of its own: "/gantry". */
  readonly cgroupParent: string;
  readonly defaultRuntime: string;
  readonly runtimes: Readonly<Record<string, RuntimeConfig>>;
  readonly logDriver: "json-file" | "none";
  readonly logOptions: Readonly<Record<string, string>>;
  readonly shmSizeBytes: number;
  /** Program for HostConfig.Init, or undefined where there is none. */
  readonly initPath: string | undefined;
  /** HostConfig.Init for containers that say nothing about it. */
  readonly init: boolean;
  /** Limits of processes, for those that a container does not set itself. */
  readonly ulimits: readonly { readonly Name: string; readonly Soft: number; readonly Hard: number }[];
}

export interface ContainersDeps {
  readonly store: Store;
  readonly images: Images;
  readonly snapshots: Snapshotter;
  readonly networks: Networks;
  readonly volumes: Volumes;
  readonly files: Files;
  readonly shims: Shims;
  readonly specs: RuntimeSpecs;
  readonly logs: LogReader;
  readonly events: Events;
  readonly facts: HostFacts;
  readonly paths: { readonly dataRoot: string; readonly execRoot: string };
  readonly config: ContainersConfig;
  readonly bootId: string;
  /** Cgroups of builds' steps that run now; they are nobody's container and no orphans. */
  readonly stepCgroups?: (() => ReadonlySet<string>) | undefined;
  readonly logger: Logger;
}

/** Steps that need each other in a circle: an exit may start again, a removal ends what runs. Set by createContainers. */
export interface Steps {
  /** Starts a container that its restart policy wants; locked. */
  restart(container: Container): Promise<void>;
  /** Kills what runs and waits for its end; not locked. */
  end(container: Container): Promise<void>;
}

export class Room {
  readonly deps: ContainersDeps;
  readonly steps: Steps;
  readonly containers = new Map<ContainerId, Container>();
  /** Names in use, those of containers that are being made too. */
  readonly names = new Map<string, ContainerId>();
  readonly execs = new Map<ExecId, Exec>();
  /** Ids whose records cannot be read: nothing of theirs is touched. */
  readonly damaged = new Set<string>();
  /** Containers whose removal is committed and whose directories are being deleted: their "remove" rows are in use. */
  readonly discarding = new Set<ContainerId>();
  readonly locks = new KeyedMutex();
  readonly hierarchies: CgroupHierarchies;
  /** Aborted when the daemon goes: restarts that wait are left to the next one. */
  readonly closing = new AbortController();
  /** A shim has died before it could take its elements out of the firewall's sets: they are written anew. */
  elementsLost = false;
  readonly #background = new Set<Promise<void>>();
  readonly #owed: Change[] = [];
  readonly #settled: { readonly opId: string; readonly subject: ContainerId }[] = [];

  constructor(deps: ContainersDeps, steps: (room: Room) => Steps) {
    this.deps = deps;
    this.steps = steps(this);
    const { cgroupVersion, cgroupMounts, hybrid } = deps.facts;
    this.hierarchies = { version: cgroupVersion, mounts: cgroupMounts, hybrid };
  }

  /** @throws NotFound it was removed since its id was resolved */
  get(id: ContainerId): Container {
    const container = this.containers.get(id);
    if (container === undefined) throw new EngineError("NotFound", `No such container: ${id}`);
    return container;
  }

  /** The container, locked. @throws NotFound it is gone when the lock is ours */
  async lock(id: ContainerId): Promise<Disposable & { readonly container: Container }> {
    const held = await this.locks.lock(id);
    const container = this.containers.get(id);
    if (container === undefined) {
      held[Symbol.dispose]();
      throw new EngineError("NotFound", `No such container: ${id}`);
    }
    return { container, [Symbol.dispose]: () => held[Symbol.dispose]() };
  }

  /** `<dataRoot>/containers/<id>`: log, exit record, hosts, hostname, resolv.conf. */
  dataDir(id: ContainerId): string {
    return join(this.deps.paths.dataRoot, "containers", id);
  }

  /** `<execRoot>/containers/<id>`: the shim's sockets and the bundle. */
  runDir(id: ContainerId): string {
    return join(this.deps.paths.execRoot, "containers", id);
  }

  runtimeRoot(): string {
    return join(this.deps.paths.execRoot, "runtime");
  }

  exitFile(id: ContainerId): string {
    return join(this.dataDir(id), "exit");
  }

  logPath(id: ContainerId): string {
    return join(this.dataDir(id), `${id}-json.log`);
  }

  /** Path of a container's cgroup in every hierarchy. */
  cgroupPath(record: Pick<ContainerRecord, "id" | "hostConfig">): string {
    const asked = record.hostConfig.CgroupParent ?? "";
    const parent = asked === "" ? this.deps.config.cgroupParent : asked.startsWith("/") ? asked : `/${asked}`;
    return join(parent, record.id);
  }

  /**
   * Commits a container's new record together with other rows; memory takes it when it is durable.
   * To be called with the container locked.
   */
  async commit(container: Container, record: ContainerRecord, changes: readonly Change[] = []): Promise<void> {
    await this.#commitWithSettled([putContainer(record), ...changes]);
    container.record = record;
  }

  /** The "remove" row of a container is done with: it goes with the next commit, or with one of its own soon. */
  settle(opId: string, subject: ContainerId): void {
    this.#settled.push({ opId, subject });
    if (this.#settled.length > 1) return;
    setTimeout(() => this.inBackground("settle the journal", () => this.flushSettled()), 20).unref();
  }

  /**
   * Rows of endpoints that could not be deleted: they go before the next commit's own changes. While they stay, nobody else can have
   * their addresses.
   */
  owe(changes: readonly Change[]): void {
    this.#owed.push(...changes.filter((change) => "delete" in change && change.delete === "endpoints"));
  }

  /** A commit that is no container's record alone. */
  commitRows(changes: readonly Change[], options?: { readonly freesSpace: boolean }): Promise<void> {
    return this.#commitWithSettled(changes, options);
  }

  async flushSettled(): Promise<void> {
    if (this.#settled.length > 0) await this.#commitWithSettled([], { freesSpace: true });
  }

  async #commitWithSettled(changes: readonly Change[], options?: { readonly freesSpace: boolean }): Promise<void> {
    const settled = this.#settled.splice(0);
    const owed = this.#owed.splice(0);
    const deletes = settled.map(({ opId }): Change => ({ delete: "ops", key: opId }));
    try {
      await this.deps.store.commit([...owed, ...changes, ...deletes], options);
    } catch (error) {
      this.#owed.unshift(...owed);
      this.#settled.unshift(...settled);
      throw error;
    }
    for (const { subject } of settled) this.discarding.delete(subject);
  }

  /** Work that no request waits for; shutdown does. A failure is logged. */
  inBackground(what: string, work: () => Promise<void>): void {
    const promise = work()
      .catch((error: unknown) => this.deps.logger.error(`${what} failed`, { error: messageOf(error) }))
      .finally(() => this.#background.delete(promise));
    this.#background.add(promise);
  }

  /** To be called when the addresses of a lost run are free: nothing may lead to their next holder. */
  async resyncFirewall(): Promise<void> {
    if (!this.elementsLost) return;
    this.elementsLost = false;
    await this.deps.networks.resync();
  }

  async drained(): Promise<void> {
    while (this.#background.size > 0) await Promise.all(this.#background);
  }

  /** Announces something about a container, with dockerd's attributes. */
  announce(container: Container, action: string, attributes: Readonly<Record<string, string>> = {}): void {
    const { id, name, config } = container.record;
    this.deps.events.publish({
      type: "container",
      action,
      id,
      attributes: { ...config.Labels, image: config.Image ?? "", name, ...attributes },
    });
  }
}
