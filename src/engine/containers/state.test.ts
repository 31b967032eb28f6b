import assert from "node:assert/strict";
import { test } from "node:test";
import { isActive, nextStatus, renderTransitions, type StateEvent, type Status, transitions } from "./state.ts";

const events: readonly StateEvent[] = ["start", "fail", "pause", "unpause", "exit", "retry", "giveUp"];

test("the table is what it is said to be", () => {
  assert.equal(
    renderTransitions(),
    [
      "created    start→running  fail→created",
      "running    pause→paused  exit→exited  retry→restarting",
      "paused     unpause→running  exit→exited  retry→restarting",
      "restarting start→running  fail→exited  giveUp→exited",
      "exited     start→running  fail→exited",
    ].join("\n"),
  );
});

test("what is not in the table is refused by name", () => {
  for (const from of Object.keys(transitions) as Status[]) {
    for (const event of events) {
      if (transitions[from][event] !== undefined) continue;
      assert.throws(() => nextStatus(from, event), {
        kind: "System",
        message: `a container that is ${from} cannot ${event}`,
      });
    }
  }
});

test("from every state a container can get back to running, and ends up without a process", () => {
  for (const from of Object.keys(transitions) as Status[]) {
    const reached = new Set<Status>([from]);
    for (const status of reached) for (const to of Object.values(transitions[status])) reached.add(to);
    assert.ok(reached.has("running") && reached.has("exited"), from);
  }
});

test("restarting counts as running, as in Docker", () => {
  assert.deepEqual((["created", "running", "paused", "restarting", "exited"] as const).filter(isActive), [
    "running",
    "paused",
    "restarting",
  ]);
});
