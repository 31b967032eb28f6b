// How a run is said to have ended when nobody saw its end.

import { nowRfc3339Nano } from "../../base/time.ts";
import type { ExitRecord } from "../runtime/index.ts";
import type { ContainerRecord } from "./model.ts";
import type { Room } from "./room.ts";

/** Its shim was killed, and everything of it with it. */
const killedExitCode = 137;
/** The host's own end cut it off. */
const powerLossExitCode = 255;

/** As dockerd says it, by the boot in which the process was started. */
export function lostExit(room: Room, record: ContainerRecord): ExitRecord {
  const sameBoot = record.state.init?.bootId === room.deps.bootId;
  return {
    exitCode: sameBoot ? killedExitCode : powerLossExitCode,
    signal: sameBoot ? 9 : undefined,
    oomKilled: false,
    finishedAt: nowRfc3339Nano(),
  };
}
