// An Engine in memory for the tests of this room: it records what it was asked and answers from tables. Not part of the product.

import { type Duplex, duplexPair, Readable } from "node:stream";
import { EngineError } from "../../base/errors.ts";
import type { ContainerId, ExecId } from "../../base/ids.ts";
import type { ContainerSummary, ContainerWaitResponse } from "../../spec/docker/container.ts";
import type { EventMessage } from "../../spec/docker/system.ts";
import type { Volume, VolumeSnapshot } from "../../spec/docker/volume.ts";
import type { ArchiveStat, AttachSession, Engine, ProgressMessage } from "./ports.ts";

export const fakeContainerId = "c".repeat(64) as ContainerId;
export const fakeExecId = "e".repeat(64) as ExecId;

export interface FakeCall {
  readonly method: string;
  readonly args: readonly unknown[];
}

/** The process's end of an attached stream: what is written to `peer` reaches the client. */
export interface FakeSession {
  readonly peer: Duplex;
  readonly detached: readonly boolean[];
}

const fakeVolume: Volume = {
  Name: "data",
  Driver: "local",
  Mountpoint: "/data",
  CreatedAt: "2026-01-02T03:04:05Z",
  Labels: null,
  Scope: "local",
  Options: null,
};

const fakeSnapshot: VolumeSnapshot = {
  Name: "before",
  Volume: "data",
  CreatedAt: "2026-01-02T03:04:05Z",
  Size: 1,
  Shared: false,
  Comment: "",
};

export class FakeEngine implements Engine {
  readonly calls: FakeCall[] = [];
  readonly sessions: FakeSession[] = [];
  /** Whether processes end as soon as somebody attaches. */
  endsAtOnce = false;
  /** Whether "box" has a terminal. */
  tty = false;
  summaries: readonly ContainerSummary[] = [];
  logStream: Readable = Readable.from([]);
  /** What save and export give. */
  archive: () => Readable = () => Readable.from([]);
  /** Of every path in "box". */
  stat: ArchiveStat = { name: "file", sizeBytes: 5, mode: 0o100644, modifiedNs: 1_000_000_000n, linkTarget: "" };
  pathChanges: Awaited<ReturnType<Engine["containers"]["changes"]>> = [];
  waiting = Promise.withResolvers<ContainerWaitResponse>();
  waitSignal: AbortSignal | undefined;
  progress: readonly (ProgressMessage | Error)[] = [];
  /** false: load and import destroy what they were given after its first bytes. */
  readsUploads = true;
  events_: AsyncIterable<EventMessage> | undefined;
  eventSignal: AbortSignal | undefined;
  /** Thrown by the next call of this name, as "containers.start". */
  readonly failures = new Map<string, Error>();
  /** Awaited by every call of this name. */
  readonly gates = new Map<string, Promise<void>>();

  /** Calls of one name, without the resolving of names. */
  callsOf(method: string): readonly (readonly unknown[])[] {
    return this.calls.filter((call) => call.method === method).map((call) => call.args);
  }

  async #called(method: string, ...args: readonly unknown[]): Promise<void> {
    this.calls.push({ method, args });
    await this.gates.get(method);
    const failure = this.failures.get(method);
    if (failure !== undefined) throw failure;
  }

  #session(): AttachSession {
    const [duplex, peer] = duplexPair();
    peer.on("error", () => {});
    if (this.endsAtOnce) peer.end();
    const detached: boolean[] = [];
    this.sessions.push({ peer, detached });
    return { tty: this.tty, duplex, detach: (byKeys) => void detached.push(byKeys) };
  }

  readonly containers: Engine["containers"] = {
    resolve: (name) => {
      if (["box", "/box", fakeContainerId, "cccc"].includes(name)) return fakeContainerId;
      throw new EngineError("NotFound", `No such container: ${name}`);
    },
    create: async (request) => {
      await this.#called("containers.create", request);
      return { id: fakeContainerId, warnings: [] };
    },
    list: async (request) => {
      await this.#called("containers.list", request);
      return this.summaries;
    },
    inspect: async (id, size) => {
      await this.#called("containers.inspect", id, size);
      return { Id: id, Name: "/box", ImageManifestDescriptor: { size: 1 } };
    },
    start: async (id, signal) => this.#called("containers.start", id, signal),
    stop: async (id, signalName, timeoutSeconds, signal) =>
      this.#called("containers.stop", id, signalName, timeoutSeconds, signal),
    restart: async (id, signalName, timeoutSeconds) =>
      this.#called("containers.restart", id, signalName, timeoutSeconds),
    kill: async (id, signalName) => this.#called("containers.kill", id, signalName),
    pause: async (id) => this.#called("containers.pause", id),
    unpause: async (id) => this.#called("containers.unpause", id),
    rename: async (id, newName) => this.#called("containers.rename", id, newName),
    wait: async (id, condition, signal) => {
      await this.#called("containers.wait", id, condition);
      this.waitSignal = signal;
      return { result: this.waiting.promise };
    },
    remove: async (id, options) => this.#called("containers.remove", id, options),
    removeLink: async (name) => this.#called("containers.removeLink", name),
    prune: async (filters) => {
      await this.#called("containers.prune", filters);
      return { ContainersDeleted: [], SpaceReclaimed: 0 };
    },
    attach: async (id, request) => {
      await this.#called("containers.attach", id, request);
      return this.#session();
    },
    resize: async (id, height, width) => this.#called("containers.resize", id, height, width),
    connectNetwork: async (network, container, settings) =>
      this.#called("containers.connectNetwork", network, container, settings),
    disconnectNetwork: async (network, container, force) =>
      this.#called("containers.disconnectNetwork", network, container, force),
    logs: async (id, request) => {
      await this.#called("containers.logs", id, request);
      return { tty: this.tty, stream: this.logStream };
    },
    top: async (id, psArgs) => {
      await this.#called("containers.top", id, psArgs);
      return { Titles: ["PID"], Processes: [["1"]] };
    },
    export: async (id) => {
      await this.#called("containers.export", id);
      return this.archive();
    },
    statPath: async (id, path) => {
      await this.#called("containers.statPath", id, path);
      return this.stat;
    },
    packPath: async (id, path) => {
      await this.#called("containers.packPath", id, path);
      return { stat: this.stat, tar: this.archive() };
    },
    extractInto: async (id, request, tar) => {
      const parts: Buffer[] = [];
      if (this.readsUploads) for await (const part of tar) parts.push(part as Buffer);
      await this.#called("containers.extractInto", id, request, Buffer.concat(parts).toString());
    },
    changes: async (id) => {
      await this.#called("containers.changes", id);
      return this.pathChanges;
    },
    commit: async (id, request) => {
      await this.#called("containers.commit", id, request);
      return "sha256:aa";
    },
  };

  readonly volumes: Engine["volumes"] = {
    create: async (request) => {
      await this.#called("volumes.create", request);
      return fakeVolume;
    },
    list: async (filters) => {
      await this.#called("volumes.list", filters);
      return { Volumes: [fakeVolume], Warnings: null };
    },
    inspect: async (name) => {
      await this.#called("volumes.inspect", name);
      return fakeVolume;
    },
    update: async (name, labels) => this.#called("volumes.update", name, labels),
    remove: async (name, force) => this.#called("volumes.remove", name, force),
    prune: async (filters) => {
      await this.#called("volumes.prune", filters);
      return { VolumesDeleted: [], SpaceReclaimed: 0 };
    },
    history: {
      snapshot: async (volume, request) => {
        await this.#called("volumes.snapshot", volume, request);
        return fakeSnapshot;
      },
      snapshots: async (volume) => {
        await this.#called("volumes.snapshots", volume);
        return [fakeSnapshot];
      },
      removeSnapshot: async (volume, snapshot) => this.#called("volumes.removeSnapshot", volume, snapshot),
      restore: async (volume, request) => {
        await this.#called("volumes.restore", volume, request);
        return { replaced: undefined };
      },
      export: async (volume, snapshot) => {
        await this.#called("volumes.export", volume, snapshot);
        return this.archive();
      },
      import: async (request) => {
        await this.#called("volumes.import", request);
        return fakeVolume;
      },
    },
  };

  readonly execs: Engine["execs"] = {
    resolve: (id) => {
      if (id === fakeExecId) return fakeExecId;
      throw new EngineError("NotFound", `No such exec instance: ${id}`);
    },
    create: async (id, request) => {
      await this.#called("execs.create", id, request);
      return { id: fakeExecId };
    },
    start: async (id, request) => {
      await this.#called("execs.start", id, request);
      return request.detach ? undefined : this.#session();
    },
    resize: async (id, height, width) => this.#called("execs.resize", id, height, width),
    inspect: async (id) => ({
      ID: id,
      Running: false,
      ExitCode: null,
      ProcessConfig: { tty: this.tty, entrypoint: "true", arguments: [], privileged: false, user: "" },
      OpenStdin: false,
      OpenStderr: false,
      OpenStdout: false,
      CanRemove: false,
      ContainerID: fakeContainerId,
      DetachKeys: "",
      Pid: 0,
    }),
  };

  async *#progress(method: string, args: readonly unknown[], archive: Readable): AsyncGenerator<ProgressMessage> {
    let bytes = 0;
    for await (const chunk of archive as AsyncIterable<Buffer>) {
      bytes += chunk.length;
      if (!this.readsUploads) break;
    }
    await this.#called(method, ...args, bytes);
    for (const message of this.progress) {
      if (message instanceof Error) throw message;
      yield message;
    }
  }

  readonly images: Engine["images"] = {
    list: async (request) => {
      await this.#called("images.list", request);
      return [{ Id: "sha256:aa", RepoTags: [], RepoDigests: [], Size: 5, Containers: 2 }];
    },
    inspect: async (name, platform) => {
      await this.#called("images.inspect", name, ...(platform === undefined ? [] : [platform]));
      if (name === "nope") throw new EngineError("NotFound", "No such image: nope:latest");
      return { Id: "sha256:aa", Size: 5, Config: { Env: ["A=1"] } };
    },
    history: async (name) => {
      await this.#called("images.history", name);
      return [];
    },
    load: (archive, options) => this.#progress("images.load", [options], archive),
    import: (source, options) =>
      typeof source === "string"
        ? this.#progress("images.import", [source, options], Readable.from([]))
        : this.#progress("images.import", [options], source),
    tag: async (name, repository, tag) => this.#called("images.tag", name, repository, tag),
    remove: async (name, options) => {
      await this.#called("images.remove", name, options);
      return [{ Untagged: name }];
    },
    pull: (request) => this.#progress("images.pull", [request], Readable.from([])),
    push: (request) => this.#progress("images.push", [request], Readable.from([])),
    save: async (names, platform) => {
      await this.#called("images.save", names, platform);
      return this.archive();
    },
    prune: async (filters) => {
      await this.#called("images.prune", filters);
      return { ImagesDeleted: null, SpaceReclaimed: 0 };
    },
    search: async (request) => {
      await this.#called("images.search", request);
      return [];
    },
    distribution: async (name, credentials) => {
      await this.#called("images.distribution", name, credentials);
      return { Descriptor: { mediaType: "m", digest: "sha256:aa", size: 1 }, Platforms: [] };
    },
    login: async (credentials) => {
      await this.#called("images.login", credentials);
      return { Status: "Login Succeeded", IdentityToken: "" };
    },
  };

  readonly build: Engine["build"] = {
    build: (request, body) => this.#progress("build.build", [request], body),
    cancel: async (buildId) => {
      await this.#called("build.cancel", buildId);
    },
    prune: async (request) => {
      await this.#called("build.prune", request);
      return { CachesDeleted: [], SpaceReclaimed: 0 };
    },
    serveGrpc: (connection) => void connection.end(),
    serveSession: (connection) => void connection.end(),
  };
  readonly networks: Engine["networks"] = {
    list: async (filters) => {
      await this.#called("networks.list", filters);
      return [{ Name: "bridge" }];
    },
    inspect: async (name) => {
      await this.#called("networks.inspect", name);
      if (name !== "bridge") throw new EngineError("NotFound", `network ${name} not found`);
      return { Name: "bridge" };
    },
    create: async (request) => {
      await this.#called("networks.create", request);
      return { id: "n".repeat(64), warning: "" };
    },
    remove: async (name) => {
      await this.#called("networks.remove", name);
    },
    prune: async (filters) => {
      await this.#called("networks.prune", filters);
      return [];
    },
    rules: async () => {
      await this.#called("networks.rules");
      return "table inet gantry {\n}\n";
    },
  };

  readonly events: Engine["events"] = {
    subscribe: (request, signal) => {
      this.calls.push({ method: "events.subscribe", args: [request] });
      this.eventSignal = signal;
      return this.events_ ?? untilAborted(signal);
    },
  };

  readonly system: Engine["system"] = {
    info: async () => ({
      ID: "fake",
      Containerd: null,
      FirewallBackend: { Driver: "nftables" },
      SecurityOptions: ["name=seccomp,profile=builtin"],
      Runtimes: { crun: { path: "crun", status: { a: "b" } } },
    }),
    version: async () => ({ Version: "0", ApiVersion: "1.51" }),
    diskUsage: async (types) => {
      await this.#called("system.diskUsage", [...types]);
      return { LayersSize: 0, Images: [], Containers: [], Volumes: [], BuildCache: [] };
    },
    check: async (options) => {
      await this.#called("system.check", options);
      return [];
    },
  };
}

function untilAborted(signal: AbortSignal): AsyncIterable<EventMessage> {
  const { promise, resolve } = Promise.withResolvers<IteratorResult<EventMessage>>();
  const end = (): void => resolve({ done: true, value: undefined });
  if (signal.aborted) end();
  signal.addEventListener("abort", end, { once: true });
  return { [Symbol.asyncIterator]: () => ({ next: () => promise }) };
}
