// The status of a container in words, as `docker ps` shows it: "Up 2 minutes", "Exited (0) 3 seconds ago".

import { parseRfc3339, zeroTime } from "../../base/time.ts";
import { renderHumanDuration } from "../../base/units.ts";
import type { TaskState } from "./model.ts";

/** @param nowMs milliseconds since 1970 */
export function renderStatus(state: TaskState, nowMs: number): string {
  switch (state.status) {
    case "created":
      return "Created";
    case "running":
      return `Up ${since(state.startedAt, nowMs)}`;
    case "paused":
      return `Up ${since(state.startedAt, nowMs)} (Paused)`;
    case "restarting":
      return `Restarting (${state.exitCode}) ${since(state.finishedAt, nowMs)} ago`;
    case "exited":
      return state.finishedAt === zeroTime ? "" : `Exited (${state.exitCode}) ${since(state.finishedAt, nowMs)} ago`;
  }
}

function since(time: string, nowMs: number): string {
  const ms = Number((parseRfc3339(time) ?? 0n) / 1_000_000n);
  return renderHumanDuration(Math.max(0, (nowMs - ms) / 1000));
}
