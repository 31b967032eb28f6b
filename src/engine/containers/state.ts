// The states of a container and what leads from one to the other. Everything that changes a state asks this table.

import { EngineError } from "../../base/errors.ts";

export type Status = "created" | "running" | "paused" | "restarting" | "exited";

/**
 * start: its process runs. fail: it could not be started. pause, unpause. exit: its process ended, and stays so.
 * retry: its process ended, and the restart policy will start it again. giveUp: that was called off.
 */
export type StateEvent = "start" | "fail" | "pause" | "unpause" | "exit" | "retry" | "giveUp";

type Table = { readonly [S in Status]: { readonly [E in StateEvent]?: Status } };

export const transitions: Table = {
  created: { start: "running", fail: "created" },
  running: { pause: "paused", exit: "exited", retry: "restarting" },
  paused: { unpause: "running", exit: "exited", retry: "restarting" },
  restarting: { start: "running", fail: "exited", giveUp: "exited" },
  exited: { start: "running", fail: "exited" },
};

/** @throws System the table has no such way: a bug, never a client's mistake */
export function nextStatus(from: Status, event: StateEvent): Status {
  const to = transitions[from][event];
  if (to === undefined) throw new EngineError("System", `a container that is ${from} cannot ${event}`);
  return to;
}

/** Docker's "Running" covers what holds a process or will again. */
export function isActive(status: Status): boolean {
  return status === "running" || status === "paused" || status === "restarting";
}

/** A process exists. */
export function hasProcess(status: Status): boolean {
  return status === "running" || status === "paused";
}

/** The table as text, one line per state. */
export function renderTransitions(): string {
  return Object.entries(transitions)
    .map(
      ([from, events]) =>
        `${from.padEnd(10)} ${Object.entries(events)
          .map(([event, to]) => `${event}→${to}`)
          .join("  ")}`,
    )
    .join("\n");
}
