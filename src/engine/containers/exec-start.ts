// POST /exec/{id}/start: the process file, the shim's stdio, the client, then the process.

import { rmSync, writeFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { Readable } from "node:stream";
import { EngineError, isEngineError } from "../../base/errors.ts";
import { failpoint } from "../../base/failpoint.ts";
import type { ExecId } from "../../base/ids.ts";
import type { OciSpec } from "../../spec/oci/runtime.ts";
import type { AttachSession } from "../api/ports.ts";
import { renderSpec, type ShimAttachment, type StartFailure } from "../runtime/index.ts";
import type { Container, Task } from "./container.ts";
import { announceExec, type Exec, execFiles, getExec, refuseExec, resolveExecUser } from "./exec.ts";
import { closeExec } from "./exec-end.ts";
import { LateDuplex } from "./late-duplex.ts";
import type { Room } from "./room.ts";
import { startError } from "./start-error.ts";

export interface StartExecRequest {
  readonly detach: boolean;
  readonly tty: boolean;
  readonly consoleSize: readonly [number, number] | undefined;
}

/**
 * @returns undefined when detached
 * @throws Conflict         it runs, or has run; the container does not run
 * @throws InvalidParameter detached only: the command cannot be run. Attached, the client reads that as the output.
 */
export async function startExec(
  room: Room,
  id: ExecId,
  request: StartExecRequest,
  signal: AbortSignal,
): Promise<AttachSession | undefined> {
  const exec = getExec(room, id);
  if (exec.state === "starting" || exec.state === "running") {
    throw new EngineError("Conflict", `exec command ${id} is already running`);
  }
  if (exec.state === "ended") throw new EngineError("Conflict", `exec command ${id} has already run`);
  const container = room.get(exec.containerId);
  const initPid = refuseExec(container);
  const task = container.task as Task;
  signal.throwIfAborted();
  exec.state = "starting";
  let attachment: ShimAttachment | undefined;
  try {
    await prepare(room, container, exec, task, initPid, request);
    await failpoint("container.exec.prepared");
    if (!request.detach) {
      const { attachStdin: stdin, attachStdout: stdout, attachStderr: stderr } = exec.request;
      attachment = await task.shim.attach(id, { stdin, stdout, stderr });
      await failpoint("container.exec.attached");
    }
    announceExec(room, container, exec, "exec_start");
    const outcome = await task.shim.runExec(id);
    if ("failure" in outcome) return refuse(room, container, exec, outcome.failure, attachment);
    exec.pid = outcome.pid;
    // Its end may have been told already.
    if (exec.state === "starting") exec.state = "running";
    exec.started.resolve();
    await failpoint("container.exec.ran");
  } catch (error) {
    attachment?.duplex.destroy();
    if (exec.state === "starting") close(room, container, exec, 126);
    // The shim has left in the middle: the container ended, perhaps by this very exec.
    throw isEngineError(error, "Unavailable")
      ? new EngineError("Conflict", `container ${container.id} is not running`, { cause: error })
      : error;
  }
  if (attachment === undefined) return undefined;
  const { duplex } = attachment;
  return {
    tty: exec.request.tty,
    duplex,
    ended: exec.ended.promise,
    detach(byKeys) {
      duplex.destroy();
      if (byKeys) announceExec(room, container, exec, "exec_detach");
    },
  };
}

async function prepare(
  room: Room,
  container: Container,
  exec: Exec,
  task: Task,
  initPid: number,
  request: StartExecRequest,
): Promise<void> {
  const { request: asked } = exec;
  task.process ??= await readProcess(room, container);
  const user = exec.user ?? (await resolveExecUser(room, container.record, asked, initPid));
  const consoleSize = request.consoleSize ?? asked.consoleSize;
  const process = room.deps.specs.buildExecProcess(
    { process: task.process },
    {
      args: asked.cmd,
      env: asked.env,
      user,
      cwd: asked.workingDir,
      tty: asked.tty,
      privileged: asked.privileged,
      consoleSize,
    },
  );
  const files = execFiles(room, exec);
  writeFileSync(files.process, renderSpec(process), { mode: 0o600 });
  writeFileSync(files.request, JSON.stringify(asked), { mode: 0o600 });
  await failpoint("container.exec.written");
  await task.shim.prepareExec({
    execId: exec.id,
    processFile: files.process,
    tty: asked.tty,
    stdin: asked.attachStdin && !request.detach,
    consoleSize,
  });
}

async function readProcess(room: Room, { id }: Container): Promise<OciSpec["process"]> {
  const text = await readFile(join(room.runDir(id), "config.json"), "utf8");
  return (JSON.parse(text) as OciSpec).process;
}

/** The runtime could not start it. Docker's clients look at the exit code afterwards, and expect the reason as output. */
function refuse(
  room: Room,
  container: Container,
  exec: Exec,
  failure: StartFailure,
  attachment: ShimAttachment | undefined,
): AttachSession {
  const error = startError(failure);
  close(room, container, exec, failure.exitCode);
  if (attachment === undefined) throw error;
  attachment.duplex.destroy();
  const text = Buffer.from(`${error.message}\r\n`);
  const header = Buffer.from([1, 0, 0, 0, 0, 0, 0, 0]);
  header.writeUInt32BE(text.length, 4);
  const duplex = new LateDuplex({ forwardsInput: false });
  duplex.replay(Readable.from([exec.request.tty ? text : Buffer.concat([header, text])], { objectMode: false }));
  return { tty: exec.request.tty, duplex, detach: () => duplex.destroy() };
}

function close(room: Room, container: Container, exec: Exec, exitCode: number): void {
  closeExec(container, exec, exitCode);
  const files = execFiles(room, exec);
  room.inBackground(`files of exec ${exec.id}`, async () => {
    for (const file of [files.process, files.request]) rmSync(file, { force: true });
  });
}
