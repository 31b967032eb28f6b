// The container's record: what is kept on disk, one row of the store each. A record never changes; a change makes a new
// one, and memory takes it when the commit is durable.

import { EngineError } from "../../base/errors.ts";
import { type ContainerId, parseContainerId } from "../../base/ids.ts";
import { type Digest, parseDigest } from "../../base/digest.ts";
import { zeroTime } from "../../base/time.ts";
import type { ContainerConfig, HostConfig, MountPoint, NetworkingConfig } from "../../spec/docker/container.ts";
import type { PlannedMount, ProcessIdentity } from "../runtime/index.ts";
import type { Change, Tables } from "../store/index.ts";
import type { Status } from "./state.ts";

/** Where a container is in its life, and how its last run ended. */
export interface TaskState {
  readonly status: Status;
  /** 0–255 of the last end; 126, 127 or 128 after a start that failed. */
  readonly exitCode: number;
  /** Why the last start failed; "" otherwise. */
  readonly error: string;
  readonly oomKilled: boolean;
  /** RFC 3339 with nanoseconds, or the zero time. */
  readonly startedAt: string;
  readonly finishedAt: string;
  /** The first process, while there is one: running and paused. */
  readonly init: ProcessIdentity | undefined;
  /** Set while the engine itself pauses the container for a while: a daemon that finds it set wakes the container. */
  readonly pausedFor?: "commit" | undefined;
}

export interface ContainerRecord {
  readonly id: ContainerId;
  /** Without the slash. */
  readonly name: string;
  /** RFC 3339 with nanoseconds. */
  readonly created: string;
  readonly imageId: Digest;
  /** Merged with the image's. `Image` is what the client asked for. */
  readonly config: ContainerConfig;
  /** With the engine's defaults filled in. */
  readonly hostConfig: HostConfig;
  readonly networkingConfig: NetworkingConfig;
  /** As inspect shows them. */
  readonly mounts: readonly MountPoint[];
  /** As they were decided at create; records of daemons that had no volumes have none. */
  readonly plannedMounts?: readonly PlannedMount[];
  readonly path: string;
  readonly args: readonly string[];
  readonly state: TaskState;
  readonly restartCount: number;
  /** Somebody asked for the end of the last run: unless-stopped then stays down when the daemon starts. */
  readonly manuallyStopped: boolean;
}

/** Changes when a record of an older daemon can no longer be read as it is. */
const docVersion = 1;

export function renderContainerRow(record: ContainerRecord): Tables["containers"] {
  const { id, name, ...rest } = record;
  return { id, name, doc: JSON.stringify({ version: docVersion, ...rest }) };
}

export function putContainer(record: ContainerRecord): Change {
  return { put: "containers", row: renderContainerRow(record) };
}

/** @throws DataLoss the row was written by a newer daemon, or is damaged */
export function parseContainerRow(row: Tables["containers"]): ContainerRecord {
  const what = `the record of container ${row.id.slice(0, 12)} (${row.name})`;
  try {
    const { version, ...doc } = JSON.parse(row.doc) as { version: number } & Omit<ContainerRecord, "id" | "name">;
    if (version !== docVersion) throw new EngineError("DataLoss", `${what} has version ${version}, not ${docVersion}`);
    parseDigest(doc.imageId);
    if (typeof doc.state.status !== "string") throw new EngineError("DataLoss", `${what} has no state`);
    return { ...doc, id: parseContainerId(row.id), name: row.name };
  } catch (cause) {
    throw cause instanceof EngineError && cause.kind === "DataLoss"
      ? cause
      : new EngineError("DataLoss", `${what} cannot be read`, { cause });
  }
}

/** Whether it has run, or a start has failed: files and addresses were made for it. */
export function startWasTried({ state }: ContainerRecord): boolean {
  return state.startedAt !== zeroTime || state.error !== "";
}

/** The command line of the first process. */
export function commandOf(config: ContainerConfig): { readonly path: string; readonly args: readonly string[] } {
  const [path = "", ...args] = [...(config.Entrypoint ?? []), ...(config.Cmd ?? [])];
  return { path, args };
}
