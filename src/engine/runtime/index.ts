// The face of the runtime room: HostConfig → OCI spec (pure), and the shims.

import type { ContainerId } from "../../base/ids.ts";
import type { ContainerConfig, HostConfig } from "../../spec/docker/container.ts";
import type { OciProcess, OciSpec } from "../../spec/oci/runtime.ts";
import type { SourcedMount } from "./planned-mount.ts";

export { createRuntimeSpecs } from "./specs.ts";
export { renderSpec } from "./spec.ts";
export { type HostPath, hostPathsOf, type MountPlan, planMounts, volumeNameErrors } from "./mounts.ts";
export { confinedKind, resolveConfinedPath } from "./confined-file.ts";
export { isInsideProc } from "./mount-fields.ts";
export { hasRecursiveReadOnly } from "./kernel-version.ts";
export type { PlannedImage, PlannedMount, PlannedVolume, SourcedMount } from "./planned-mount.ts";
export { inheritMounts, parseVolumesFrom } from "./volumes-from.ts";
export { checkLogConfig, parseLogRotation } from "./log-config.ts";
export { checkUlimits } from "./rlimits.ts";
export { runtimeWarnings } from "./runtime-warnings.ts";
export type { Shim, Shims, ShimOptions, ProcessIdentity, ExitRecord, StartFailure, ShimAttachment } from "./shim.ts";

/** Facts of the host that the spec depends upon; read once at start-up. */
export interface HostFacts {
  readonly cgroupVersion: 1 | 2;
  /** v1 or hybrid: mount point per controller; v2: one entry "" → mount point. */
  readonly cgroupMounts: Readonly<Record<string, string>>;
  /** v1 hierarchies beside a v2 one: crun must not see the v2 one. */
  readonly hybrid: boolean;
  readonly cpuCount: number;
  readonly memoryBytes: number;
  /** `process.arch` in Go's words: amd64, arm64. */
  readonly architecture: string;
  readonly kernelVersion: string;
  /** Hard limits of the daemon: rlimits above them cannot be given without CAP_SYS_RESOURCE. */
  readonly canRaiseLimits: boolean;
  readonly appArmor: boolean;
  readonly seLinux: boolean;
  readonly seccomp: boolean;
}

/** uid, gid and groups of a process, looked up in the container's own /etc/passwd and /etc/group. */
export interface ResolvedUser {
  readonly uid: number;
  readonly gid: number;
  readonly additionalGids: readonly number[];
  /** For HOME when the environment has none. */
  readonly home: string;
}

export interface SpecInput {
  readonly id: ContainerId;
  readonly config: ContainerConfig;
  readonly hostConfig: HostConfig;
  /** What was decided at create, with sources. undefined: the binds and tmpfs of hostConfig. */
  readonly mounts?: readonly SourcedMount[] | undefined;
  readonly args: readonly string[];
  readonly user: ResolvedUser;
  readonly hostname: string;
  readonly rootfsPath: string;
  /** Namespace paths to join, by kind; "host" leaves the namespace out; undefined makes a new one. `network` is a path to the shim's own (made before the runtime runs), or "host". */
  readonly namespaces: {
    readonly network: string;
    readonly pid: string | undefined;
    readonly ipc: string | undefined;
    readonly uts: string | undefined;
    readonly cgroup: string | undefined;
  };
  /** Host paths of the files bound to /etc/hosts, /etc/hostname and /etc/resolv.conf; undefined where not bound. */
  readonly files: {
    readonly hosts: string | undefined;
    readonly hostname: string | undefined;
    readonly resolvConf: string | undefined;
  };
  /** Host path of a shared /dev/shm (ipc container:…), or undefined for a new tmpfs. */
  readonly shmPath: string | undefined;
  /** Path of the init program bound to /sbin/docker-init for HostConfig.Init. */
  readonly initPath: string | undefined;
  readonly cgroupsPath: string;
  /** Contents of the seccomp profile named in SecurityOpt, parsed; undefined for the builtin one, "unconfined". */
  readonly seccomp: unknown;
  readonly facts: HostFacts;
  /** crun takes a ready BPF program by annotation; other runtimes the profile in the spec. */
  readonly runtimeTakesBpf: boolean;
}

/** Things worked out of the API's configuration that need no host: all complaints at once, as texts. */
export interface RuntimeSpecs {
  /**
   * What is wrong with the request (400), what is not supported yet (501), and what the client should be told (warnings).
   *
   * @param config the client's, with the merged WorkingDir and Volumes
   */
  validate(
    config: ContainerConfig,
    hostConfig: HostConfig,
    facts: HostFacts,
  ): {
    readonly invalid: readonly string[];
    readonly unsupported: readonly string[];
    readonly warnings: readonly string[];
  };
  buildSpec(input: SpecInput): OciSpec;
  /** The process of an exec in a container that runs with `spec`. */
  buildExecProcess(
    spec: Pick<OciSpec, "process">,
    exec: {
      readonly args: readonly string[];
      readonly env: readonly string[];
      readonly user: ResolvedUser;
      readonly cwd: string;
      readonly tty: boolean;
      readonly privileged: boolean;
      readonly consoleSize: readonly [height: number, width: number] | undefined;
    },
  ): OciProcess;
  /**
   * Resolves "user[:group]" and group_add against a container's files; reads at most 1 MiB of each, confined to `root`
   * (no symlink leads out, no FIFO or device blocks).
   *
   * @param roots where to look for a path, first match wins: for a stopped container [upper, ...lower], for a running one ["/proc/<pid>/root"]
   * @throws InvalidParameter "unable to find user x: no matching entries in passwd file"; ids out of range
   */
  resolveUser(user: string, groupAdd: readonly string[], roots: readonly string[]): Promise<ResolvedUser>;
}
