// The face of RUN: a step runs as a container does, in a shim, with the same profile, and leaves a layer. Cache mounts live here.

import type { Digest } from "../../../base/digest.ts";
import type { Logger } from "../../../base/log.ts";
import type { ContainerId } from "../../../base/ids.ts";
import type { Networks, NetworkUser } from "../../network/index.ts";
import type { HostFacts, RuntimeSpecs } from "../../runtime/index.ts";
import type { Shims } from "../../runtime/shim.ts";
import type { Store } from "../../store/index.ts";
import type { Snapshot } from "../solver/index.ts";
import type { BuildLayers } from "../layers/index.ts";
import type { OpRunner, ReclaimableStore } from "../solver/index.ts";

/** A failed step the state before which is kept for a while. */
export interface KeptStep {
  /** The id of the image that `configBytes` are the config of, in hex. */
  readonly stepId: string;
  readonly configBytes: Uint8Array;
  readonly layers: Extract<Snapshot, { kind: "layers" }>["layers"];
  readonly env: readonly string[];
  readonly user: string;
  readonly workingDirectory: string;
  readonly args: readonly string[];
}

export interface ExecDeps {
  readonly store: Store;
  readonly layers: BuildLayers;
  readonly networks: Networks;
  readonly shims: Shims;
  readonly specs: RuntimeSpecs;
  readonly facts: HostFacts;
  readonly paths: { readonly dataRoot: string; readonly execRoot: string };
  readonly config: {
    readonly cgroupParent: string;
    readonly shmSizeBytes: number;
    readonly ulimits: readonly { readonly Name: string; readonly Soft: number; readonly Hard: number }[];
    runtime(): { readonly path: string; readonly args: readonly string[]; readonly isCrun: boolean };
  };
  /** A failed step is kept no more. @param id of its image */
  onStepDropped?(id: Digest): void;
  /** Copies what is at `source` of a snapshot (a directory: what is in it) into an empty directory; for new cache mounts. */
  copyTree(from: Snapshot, source: string, directory: string, signal: AbortSignal): Promise<void>;
  readonly logger: Logger;
}

export interface Exec {
  readonly runner: OpRunner;
  readonly mounts: ReclaimableStore & {
    /** A cache mount's directory, for export; undefined when there is none. Held against use by a step until disposed. */
    hold(id: string, signal: AbortSignal): Promise<(Disposable & { readonly path: string }) | undefined>;
    /** Fills a new cache mount; an existing one is left. */
    fill(id: string, fillDirectory: (path: string) => Promise<void>, signal: AbortSignal): Promise<boolean>;
  };
  keptStep(stepId: string): KeptStep | undefined;
  /** The only kept step whose id begins so. */
  findKeptStep(prefix: string): KeptStep | undefined;
  /** Cgroups of steps that run now; for `system check`. */
  runningCgroups(): ReadonlySet<string>;
  /** A step that runs, as network/ asks who uses its addresses; undefined when it is none. */
  networkUser(id: ContainerId): NetworkUser | undefined;
  /** Ends all steps and writes what is not written yet. */
  close(): Promise<void>;
}

export { StepFailed } from "./step-failed.ts";
export { createExec } from "./exec.ts";
export { endStaleSteps } from "./stale.ts";
