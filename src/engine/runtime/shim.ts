// How the engine speaks to shims: the interface. One shim per running container holds everything that must survive the
// daemon; the daemon talks to it over a unix socket and to the spawner (which forks shims) over a pipe. The wire format
// is in docs/shim-protocol.md, the programs in shim/.

import type { Duplex } from "node:stream";
import type { ContainerId, ExecId } from "../../base/ids.ts";

/** An interface of a container's own namespace, whatever the network's kind. */
export interface ShimInterface {
  readonly kind: "veth" | "macvlan" | "ipvlan";
  /** Host end of a veth pair, at most 15 bytes; "" for the other kinds. */
  readonly hostInterface: string;
  /** The bridge that becomes the host end's master, or the parent device. */
  readonly parent: string;
  /** macvlan: bridge, private, vepa, passthru; ipvlan: l2, l3, l3s; "" for veth. */
  readonly mode: string;
  /** ipvlan: bridge, private, vepa; "" otherwise. */
  readonly flag: string;
  /** Name inside: eth0. */
  readonly name: string;
  /** "" leaves it to the kernel. */
  readonly mac: string;
  /** With prefix, both families: "172.17.0.2/16", "fd00::2/64". Without an IPv6 one, IPv6 is off on the interface. */
  readonly addresses: readonly string[];
  /** 0 leaves it to the kernel (the parent's). */
  readonly mtu: number;
  /** Path below /proc/sys → value, in the container's namespace: "net/ipv4/conf/eth0/log_martians". */
  readonly sysctls: Readonly<Record<string, string>>;
}

/** A default route: through `via`, or straight out of the interface where that is "". */
export interface ShimGateway {
  readonly via: string;
  /** Name inside. */
  readonly interface: string;
}

/** A listener on the host that keeps a published port and serves what the kernel's NAT cannot lead to the container. */
export interface ShimPort {
  readonly protocol: "tcp" | "udp" | "sctp";
  readonly hostIp: string;
  readonly hostPort: number;
  /** Where accepted connections and datagrams go. */
  readonly address: string;
  readonly containerPort: number;
}

/** All of a container's own network, as it shall be: sent with the spawn, and again whenever it changes. */
export interface ShimOwnNetwork {
  readonly kind: "own";
  readonly interfaces: readonly ShimInterface[];
  readonly gateway4: ShimGateway | undefined;
  readonly gateway6: ShimGateway | undefined;
  /**
   * Elements of the engine's nft sets and maps that are this container's, a line each: `inet SET KEYHEX[ DATAHEX]` (or `bridge …`).
   * Added when the network is made, removed before its end is told. A table that is missing is no error: the daemon writes it.
   */
  readonly firewall: readonly string[];
  readonly ports: readonly ShimPort[];
  /** Where the name server listens; undefined: no name server at 127.0.0.11. */
  readonly dnsSocket: string | undefined;
}

/** none: a new namespace with only lo. host: the host's. join: a path to a namespace (container:ID). */
export type ShimNetwork =
  | ShimOwnNetwork
  | { readonly kind: "none" }
  | { readonly kind: "host" }
  | { readonly kind: "join"; readonly path: string };

export interface ShimLog {
  readonly path: string;
  /** 0 for no rotation. */
  readonly maxSizeBytes: number;
  readonly maxFiles: number;
}

/** Something that a build's step or a container sees beside its root. */
export interface ShimView {
  /** Up to four digits, unique in the request. */
  readonly name: string;
  /**
   * layers: an overlay, top-most first. path: a directory, file or (with `isSocket`) socket of the engine's own; of a container, a
   * directory or file of the host. tmpfs: 0 bytes leave the size to the kernel.
   */
  readonly tree:
    | {
        readonly kind: "layers";
        readonly lower: readonly string[];
        /** Where writes go that are thrown away; undefined where it can only be read. */
        readonly writable: { readonly upper: string; readonly work: string } | undefined;
      }
    | { readonly kind: "path"; readonly path: string; readonly isSocket: boolean }
    | { readonly kind: "tmpfs"; readonly sizeBytes: number };
  /** In the tree, resolved as if its root were "/"; undefined for all of it. */
  readonly source: string | undefined;
  /**
   * In the step's root, resolved as if that were "/", made where it is missing. undefined: nowhere, the spec binds it from
   * `<runDir>/views/<name>`.
   */
  readonly target: string | undefined;
  readonly readonly: boolean;
}

/** What makes a shim that of a build's step. */
export interface ShimStep {
  /** An empty directory on the layers' file system: places to mount upon are made there and not in the writable layer. */
  readonly stubs: string;
  /** Working directory; made in the root where it is missing. */
  readonly cwd: string;
  /** Outer targets before those in them. */
  readonly views: readonly ShimView[];
}

/** What a shim needs to know before it exists; all paths are absolute. */
export interface ShimOptions {
  readonly id: ContainerId;
  /** Directory of this container's sockets and bundle, under exec-root: `<execRoot>/containers/<id>`. */
  readonly runDir: string;
  /** File that receives the exit record, under data-root; must not exist. */
  readonly exitFile: string;
  /** Overlay to mount at `<runDir>/rootfs` in the shim's own mount namespace: top-most lower first. */
  readonly rootfs: {
    readonly lower: readonly string[];
    readonly upper: string;
    readonly work: string;
    readonly readonly: boolean;
  };
  /** Only for steps of builds. */
  readonly step?: ShimStep | undefined;
  /**
   * Only for containers: trees and parts of trees (subpaths of volumes, images), without targets: 128 at most. The spec binds them from
   * `<runDir>/views/<name>`, where they have the attributes of their file system's mount, and are read-only where that is asked for.
   */
  readonly views?: readonly ShimView[] | undefined;
  readonly network: ShimNetwork;
  readonly runtime: {
    readonly path: string;
    readonly args: readonly string[];
    readonly stateRoot: string;
    /**
     * What the runtime keeps of this container, when removing that directory and the cgroups is all that its `delete` does:
     * the shim does so itself and spares a process.
     */
    readonly stateDir?: string | undefined;
    /** Execute a sealed copy, for a runtime that otherwise makes one each time (crun). */
    readonly sealed?: boolean;
    readonly hidesUnifiedCgroup: boolean;
  };
  readonly tty: boolean;
  /** Keep a pipe to stdin open; otherwise stdin is /dev/null. */
  readonly stdin: boolean;
  /** Close stdin when the first attached client ends. */
  readonly stdinOnce: boolean;
  readonly consoleSize: readonly [height: number, width: number] | undefined;
  /** undefined: log driver none. */
  readonly log: ShimLog | undefined;
  /** Absolute cgroup directories of the container (one on v2, one per controller on v1), for OOM and for removal at the end. */
  readonly cgroups: readonly string[];
}

/** pid, its start time in clock ticks since boot (/proc/pid/stat field 22), and the boot it belongs to. */
export interface ProcessIdentity {
  readonly pid: number;
  readonly startTime: string;
  readonly bootId: string;
}

/** How a container's first process ended; written and fsynced by the shim before anybody is told. */
export interface ExitRecord {
  /** 0–255; 128 + n when signal n killed it. */
  readonly exitCode: number;
  readonly signal: number | undefined;
  readonly oomKilled: boolean;
  /** RFC 3339, nanoseconds. */
  readonly finishedAt: string;
}

/** The runtime refused; `exitCode` 126 or 127 where the command is at fault, 128 otherwise. */
export interface StartFailure {
  readonly exitCode: number;
  readonly message: string;
}

export interface ShimEvents {
  exit: (record: ExitRecord) => void;
  execExit: (execId: ExecId, exitCode: number) => void;
  /** The connection is gone: the shim has left (after exit) or died (exit was never told). */
  closed: () => void;
}

export interface ShimExecOptions {
  readonly execId: ExecId;
  /** OCI process JSON, written by the caller. */
  readonly processFile: string;
  readonly tty: boolean;
  readonly stdin: boolean;
  readonly consoleSize: readonly [height: number, width: number] | undefined;
}

/** Where live output begins in the log: file generation (rotations so far) and offset in bytes. */
export interface AttachPosition {
  readonly generation: number;
  readonly offset: number;
  /** Inode of the log file that `offset` counts in, to find it again after a rotation; 0 without a log. */
  readonly inode?: number;
}

export interface ShimAttachment {
  readonly duplex: Duplex;
  readonly position: AttachPosition;
}

/** A live connection to one shim. */
export interface Shim {
  readonly id: ContainerId;
  readonly identity: ProcessIdentity;
  on<E extends keyof ShimEvents>(event: E, listener: ShimEvents[E]): void;
  /** Runs the container's process; attachments made before see its first byte. */
  run(): Promise<{ readonly init: ProcessIdentity } | { readonly failure: StartFailure }>;
  /** The first process, once run; undefined before. `exit` where it has ended and the shim is still there. */
  state(): Promise<{
    readonly init: ProcessIdentity | undefined;
    readonly exit: ExitRecord | undefined;
    readonly execs: readonly { readonly id: ExecId; readonly pid: number; readonly exitCode: number | undefined }[];
  }>;
  /**
   * @param streams `pending`: send first the bytes of incomplete lines, which are not in the log yet. An attach that also shows
   * the log up to `position` wants them, an attach from now on does not (as dockerd).
   */
  attach(
    target: "init" | ExecId,
    streams: {
      readonly stdin: boolean;
      readonly stdout: boolean;
      readonly stderr: boolean;
      readonly pending?: boolean;
    },
  ): Promise<ShimAttachment>;
  /** Prepares stdio for an exec so that attach works before it runs. */
  prepareExec(options: ShimExecOptions): Promise<void>;
  runExec(execId: ExecId): Promise<{ readonly pid: number } | { readonly failure: StartFailure }>;
  /** Sends a signal while the process is certainly not reaped. @throws NotFound it has ended */
  kill(target: "init" | ExecId, signal: number): Promise<void>;
  resize(target: "init" | ExecId, height: number, width: number): Promise<void>;
  /**
   * Makes the network of a container that runs what it shall be: what is there and wanted stays as it is, the rest is removed or made.
   * Only for one that was started with an own network. After a failure it is undetermined: send the old state again.
   *
   * @throws System   what failed, with the kernel's word; Conflict: a host port is in use by a program of the host
   * @throws NotFound the container has ended
   */
  setNetwork(network: ShimOwnNetwork): Promise<void>;
  /** Ends a shim whose container was never run (abandons a start). */
  abandon(): Promise<void>;
  /** Resolves when the shim has left: runtime state deleted, cgroups removed, root unmounted. */
  readonly gone: Promise<void>;
}

export interface Shims {
  /**
   * Forks a shim through the spawner; resolves when its socket answers. The container does not run yet.
   *
   * @throws Conflict a port of the host is in use; NotFound a view's source is not there; System
   */
  spawn(options: ShimOptions): Promise<Shim>;
  /**
   * An exec will follow in a moment. The kernel's wait for the first move into a cgroup (an RCU grace period, 10 to 20 ms) begins
   * now and runs beside what comes before. Costs nothing where no exec follows.
   */
  warm(): void;
  /** Calls back when anybody has changed nft tables of the names that we use; several changes may be one call. */
  onRulesChange(listener: () => void): void;
  /** Connects to the shim of a container after a restart of the daemon; undefined when there is none. */
  connect(id: ContainerId, runDir: string): Promise<Shim | undefined>;
  close(): Promise<void>;
}
