// The end of an exec: told by the shim, or come with the container's own end.

import { rmSync } from "node:fs";
import type { ExecId } from "../../base/ids.ts";
import type { Container } from "./container.ts";
import { type Exec, execFiles } from "./exec.ts";
import type { Room } from "./room.ts";

/** What a process gets that goes down with its container. */
const killedExitCode = 137;

/** @param exitCode as the shim tells it */
export function endExec(room: Room, container: Container, execId: ExecId, exitCode: number): void {
  const exec = container.execs.get(execId);
  if (exec === undefined || exec.state === "ended") return;
  closeExec(container, exec, exitCode);
  room.announce(container, "exec_die", { execID: execId, exitCode: String(exitCode) });
  const files = execFiles(room, exec);
  room.inBackground(`files of exec ${execId}`, async () => {
    for (const file of [files.process, files.request]) rmSync(file, { force: true });
  });
}

/** The container's first process has ended, and with it all others. */
export function endExecs(room: Room, container: Container): void {
  for (const exec of container.execs.values()) {
    if (exec.state === "running" || exec.state === "starting") endExec(room, container, exec.id, killedExitCode);
    // Never started, and nobody can do that any more: as in dockerd, it is forgotten.
    else forgetExec(room, container, exec);
  }
}

function forgetExec(room: Room, container: Container, exec: Exec): void {
  closeExec(container, exec, undefined);
  container.pastExecs.delete(exec.id);
  room.execs.delete(exec.id);
}

/** A removed container's execs go with it. */
export function forgetExecs(room: Room, container: Container): void {
  for (const id of [...container.execs.keys(), ...container.pastExecs]) room.execs.delete(id);
}

export function closeExec(container: Container, exec: Exec, exitCode: number | undefined): void {
  exec.state = "ended";
  exec.exitCode = exitCode;
  exec.endedAtMs = performance.now();
  exec.started.resolve();
  exec.ended.resolve();
  container.execs.delete(exec.id);
  container.pastExecs.add(exec.id);
}
