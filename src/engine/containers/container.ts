// A container in memory: its record, the task that runs, and who waits for it. Fields change only under the container's
// mutex, except for the sets of waiters.

import type { ExecId } from "../../base/ids.ts";
import type { ContainerWaitResponse } from "../../spec/docker/container.ts";
import type { OciSpec } from "../../spec/oci/runtime.ts";
import type { ExitRecord, ProcessIdentity, Shim } from "../runtime/index.ts";
import type { Exec } from "./exec.ts";
import type { LateDuplex } from "./late-duplex.ts";
import type { ContainerRecord } from "./model.ts";
import { isActive, type Status } from "./state.ts";

/** One run of a container: from the shim's start to its exit record. */
export interface Task {
  readonly shim: Shim;
  readonly init: ProcessIdentity;
  /** Aborted when the process has ended and its last byte is in the log. */
  readonly ended: AbortController;
  /** Resolves when the end is committed and announced. */
  readonly finished: Promise<void>;
  readonly finish: () => void;
  /** The bundle's process, which execs are derived from; read when the first one starts. */
  process: OciSpec["process"] | undefined;
  /** Set by the first report of the end; the second one is ignored. */
  exit: ExitRecord | undefined;
}

/** A client that is attached to a container without a task. */
export interface WaitingClient {
  readonly duplex: LateDuplex;
  readonly streams: { readonly stdin: boolean; readonly stdout: boolean; readonly stderr: boolean };
  /** What was logged so far, first. */
  readonly logs: boolean;
}

export class Container {
  record: ContainerRecord;
  task: Task | undefined;
  /** No verb but inspect and list may touch it any more. */
  removing = false;
  /** The restart policy does not fire at the next end: somebody sent the stop signal. */
  exitsForGood = false;
  /** HostConfig.AutoRemove does not fire at the next end: a restart is under way. */
  keepOnExit = false;
  /** Delay before the current run, for the back-off; 0 when it was started by hand. */
  lastDelayMs = 0;
  /** While the runtime is starting the process: calls the start off, for a removal that will not wait for a hanging runtime. */
  cancelStart: (() => void) | undefined;
  /** While restarting: calls the next start off. */
  cancelRestart: (() => void) | undefined;
  readonly clients = new Set<WaitingClient>();
  readonly exitWaiters = new Set<(result: ContainerWaitResponse) => void>();
  readonly removalWaiters = new Set<(result: ContainerWaitResponse) => void>();
  /** Those that run or may be started. */
  readonly execs = new Map<ExecId, Exec>();
  /** Those that have ended and can still be inspected. */
  readonly pastExecs = new Set<ExecId>();
  /** Resolves when the last run's shim has left and its run directory is deleted; no later run begins before. */
  cleared: Promise<void> | undefined;

  constructor(record: ContainerRecord) {
    this.record = record;
  }

  get id(): ContainerRecord["id"] {
    return this.record.id;
  }

  /** The state that clients are shown: a removal under way is one. */
  get shownStatus(): Status | "removing" {
    const { status } = this.record.state;
    return this.removing && !isActive(status) ? "removing" : status;
  }

  /** What a wait is answered with now. */
  waitResponse(): ContainerWaitResponse {
    const { exitCode, error } = this.record.state;
    return { StatusCode: exitCode, ...(error === "" ? {} : { Error: { Message: error } }) };
  }

  announceExit(): void {
    const result = this.waitResponse();
    for (const resolve of this.exitWaiters) resolve(result);
    this.exitWaiters.clear();
  }

  announceRemoval(): void {
    // The error of a start is not one of the removal: clients would report it twice.
    const result = { StatusCode: this.record.state.exitCode };
    for (const resolve of this.exitWaiters) resolve(result);
    for (const resolve of this.removalWaiters) resolve(result);
    this.exitWaiters.clear();
    this.removalWaiters.clear();
    for (const { duplex } of this.clients) duplex.abandon();
    this.clients.clear();
  }
}
