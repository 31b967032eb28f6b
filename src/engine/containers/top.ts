// GET /containers/{id}/top: the host's ps, and of its output the lines of the container's processes.

import { EngineError } from "../../base/errors.ts";
import type { ContainerId } from "../../base/ids.ts";
import type { ContainerTopResponse } from "../../spec/docker/container.ts";
import { processesIn } from "../kernel/cgroups.ts";
import { tryRun } from "../kernel/run.ts";
import { parsePs, parsePsArgs } from "./ps-output.ts";
import type { Room } from "./room.ts";

/**
 * @throws InvalidParameter ps_args
 * @throws Conflict         not running
 * @throws System           ps refused
 */
export async function topContainer(room: Room, id: ContainerId, psArgs: string): Promise<ContainerTopResponse> {
  const container = room.get(id);
  const { record } = container;
  const words = parsePsArgs(psArgs);
  if (record.state.status === "restarting") {
    throw new EngineError("Conflict", `Container ${id} is restarting, wait until the container is running`);
  }
  if (record.state.init === undefined) throw new EngineError("Conflict", `container ${id} is not running`);
  const pids = new Set(processesIn(room.hierarchies, room.cgroupPath(record)));
  const { exitCode, stdout, stderr } = await tryRun(["ps", ...words], { timeoutMs: 10_000 });
  if (exitCode !== 0) {
    const reason = stderr.split("\n").find((line) => line.trim() !== "") ?? `exit status ${exitCode ?? "unknown"}`;
    throw new EngineError("System", `ps: ${reason.trim()}`);
  }
  const table = parsePs(stdout, pids);
  room.announce(container, "top");
  return table;
}
