// Execs: further processes in a running container. Records live in memory and, from the start of the process on, in a file
// beside the bundle, so that a daemon that starts again can still say what runs.

import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { EngineError, isEngineError } from "../../base/errors.ts";
import { type ContainerId, type ExecId, newExecId } from "../../base/ids.ts";
import type { CreateExecRequest, ExecInspect } from "../api/ports.ts";
import type { ResolvedUser } from "../runtime/index.ts";
import type { Container } from "./container.ts";
import type { ContainerRecord } from "./model.ts";
import type { Room } from "./room.ts";

/** Ended execs can be inspected this long, and this many of them. */
const keepEndedMs = 5 * 60_000;
const keepEndedCount = 10_000;
/** A resize that comes while the process is being started waits for it, as in dockerd. */
const startTimeoutMs = 10_000;

export interface Exec {
  readonly id: ExecId;
  readonly containerId: ContainerId;
  readonly request: CreateExecRequest;
  /** As the container's files had it at the creation; undefined in a daemon that was started later. */
  readonly user: ResolvedUser | undefined;
  state: "created" | "starting" | "running" | "ended";
  /** Host pid; 0 before it runs, kept after it has ended. */
  pid: number;
  exitCode: number | undefined;
  /** Monotonic. */
  endedAtMs: number | undefined;
  readonly started: PromiseWithResolvers<void>;
  /** Resolved when it has ended and its exit code is known. */
  readonly ended: PromiseWithResolvers<void>;
}

/**
 * @throws InvalidParameter no command; the user does not exist
 * @throws Conflict         the container is not running, paused, or restarting
 */
export async function createExec(
  room: Room,
  containerId: ContainerId,
  request: CreateExecRequest,
): Promise<{ readonly id: ExecId }> {
  const container = room.get(containerId);
  const init = refuseExec(container);
  if (request.cmd.length === 0) throw new EngineError("InvalidParameter", "No exec command specified");
  room.deps.shims.warm();
  const user = await resolveExecUser(room, container.record, request, init);
  forgetOldExecs(room);
  const exec = newExec(newExecId(), containerId, request, user);
  room.execs.set(exec.id, exec);
  container.execs.set(exec.id, exec);
  announceExec(room, container, exec, "exec_create");
  return { id: exec.id };
}

export function newExec(
  id: ExecId,
  containerId: ContainerId,
  request: CreateExecRequest,
  user: ResolvedUser | undefined,
): Exec {
  return {
    id,
    containerId,
    request,
    user,
    state: "created",
    pid: 0,
    exitCode: undefined,
    endedAtMs: undefined,
    started: Promise.withResolvers<void>(),
    ended: Promise.withResolvers<void>(),
  };
}

/** The pid of the first process. @throws Conflict the container cannot run anything now */
export function refuseExec(container: Container): number {
  const { id, name, state } = container.record;
  if (state.status === "paused") {
    throw new EngineError("Conflict", `Container ${name} is paused, unpause the container before exec`);
  }
  if (state.status === "restarting") {
    throw new EngineError("Conflict", `Container ${id} is restarting, wait until the container is running`);
  }
  if (container.task === undefined || state.init === undefined) {
    throw new EngineError("Conflict", `container ${id} is not running`);
  }
  return state.init.pid;
}

export function resolveExecUser(
  room: Room,
  record: ContainerRecord,
  request: CreateExecRequest,
  initPid: number,
): Promise<ResolvedUser> {
  const user = request.user === "" ? (record.config.User ?? "") : request.user;
  return room.deps.specs.resolveUser(user, record.hostConfig.GroupAdd ?? [], [`/proc/${initPid}/root`]);
}

/** @throws NotFound "No such exec instance: x" */
export function resolveExec(room: Room, id: string): ExecId {
  const exec = room.execs.get(id as ExecId);
  if (exec === undefined) throw new EngineError("NotFound", `No such exec instance: ${id}`);
  return exec.id;
}

export function getExec(room: Room, id: ExecId): Exec {
  return room.execs.get(resolveExec(room, id)) as Exec;
}

export function inspectExec(room: Room, id: ExecId): ExecInspect {
  const exec = getExec(room, id);
  const { request } = exec;
  const [entrypoint = "", ...args] = request.cmd;
  return {
    ID: exec.id,
    Running: exec.state === "running",
    ExitCode: exec.exitCode ?? null,
    ProcessConfig: {
      tty: request.tty,
      entrypoint,
      arguments: args,
      privileged: request.privileged,
      user: request.user,
    },
    OpenStdin: request.attachStdin,
    OpenStderr: request.attachStderr,
    OpenStdout: request.attachStdout,
    CanRemove: false,
    ContainerID: exec.containerId,
    DetachKeys: request.detachKeys ?? "",
    Pid: exec.pid,
  };
}

/**
 * @throws NotFound it has ended
 * @throws Deadline it was not started in time
 */
export async function resizeExec(room: Room, id: ExecId, height: number, width: number): Promise<void> {
  const exec = getExec(room, id);
  const gone = (): EngineError => new EngineError("NotFound", `process does not exist ${id}: not found`);
  if (exec.state === "created" || exec.state === "starting") await startedInTime(exec);
  const { task } = room.get(exec.containerId);
  if (exec.state !== "running" || task === undefined) throw gone();
  if (!exec.request.tty) return;
  await task.shim.resize(id, height, width).catch((error: unknown) => {
    throw isEngineError(error, "NotFound") ? gone() : error;
  });
}

async function startedInTime(exec: Exec): Promise<void> {
  const { promise, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(
    () => reject(new EngineError("Deadline", "timeout waiting for exec session ready")),
    startTimeoutMs,
  );
  try {
    await Promise.race([exec.started.promise, promise]);
  } finally {
    clearTimeout(timer);
  }
}

export function announceExec(
  room: Room,
  container: Container,
  exec: Exec,
  action: "exec_create" | "exec_start" | "exec_detach",
): void {
  const [entrypoint = "", ...args] = exec.request.cmd;
  const text = action === "exec_detach" ? action : `${action}: ${entrypoint} ${args.join(" ")}`;
  room.announce(container, text, { execID: exec.id });
}

function forgetOldExecs(room: Room): void {
  const now = performance.now();
  let excess = room.execs.size - keepEndedCount;
  for (const exec of room.execs.values()) {
    if (exec.endedAtMs === undefined) continue;
    if (now - exec.endedAtMs < keepEndedMs && excess <= 0) continue;
    room.execs.delete(exec.id);
    room.containers.get(exec.containerId)?.pastExecs.delete(exec.id);
    excess--;
  }
}

/** Files of an exec in the run directory: the process for the runtime, and the request for a later daemon. */
export function execFiles(
  room: Room,
  exec: Pick<Exec, "id" | "containerId">,
): { readonly process: string; readonly request: string } {
  const base = join(room.runDir(exec.containerId), `exec-${exec.id}`);
  return { process: `${base}.json`, request: `${base}.request.json` };
}

/** The requests of the execs that were started under an earlier daemon. */
export async function readExecRequests(room: Room, id: ContainerId): Promise<ReadonlyMap<string, CreateExecRequest>> {
  const names = await readdir(room.runDir(id)).catch((): string[] => []);
  const requests = new Map<string, CreateExecRequest>();
  for (const name of names) {
    const execId = /^exec-([0-9a-f]{64})\.request\.json$/.exec(name)?.[1];
    if (execId === undefined) continue;
    const text = await readFile(join(room.runDir(id), name), "utf8").catch(() => "");
    try {
      requests.set(execId, JSON.parse(text) as CreateExecRequest);
    } catch {
      // Cut by the crash before the process ran.
    }
  }
  return requests;
}
