import assert from "node:assert/strict";
import { test } from "node:test";
import type { RestartPolicy } from "../../spec/docker/container.ts";
import { type EndedRun, planRestart } from "./restart-policy.ts";

const run: EndedRun = {
  policy: {},
  exitCode: 1,
  restartCount: 0,
  manuallyStopped: false,
  ranForMs: 50,
  lastDelayMs: 0,
};

test("which ends are followed by a start", () => {
  const failure: RestartPolicy = { Name: "on-failure" };
  const rows: readonly [Partial<EndedRun>, boolean][] = [
    [{}, false],
    [{ policy: { Name: "no" } }, false],
    [{ policy: { Name: "always" }, exitCode: 0 }, true],
    // dockerd: always comes back when the daemon starts, though somebody had stopped it.
    [{ policy: { Name: "always" }, manuallyStopped: true }, true],
    [{ policy: { Name: "unless-stopped" }, exitCode: 0 }, true],
    [{ policy: { Name: "unless-stopped" }, manuallyStopped: true }, false],
    [{ policy: failure }, true],
    [{ policy: failure, exitCode: 0 }, false],
    [{ policy: failure, restartCount: 1_000 }, true],
    [{ policy: { ...failure, MaximumRetryCount: 2 }, restartCount: 1 }, true],
    [{ policy: { ...failure, MaximumRetryCount: 2 }, restartCount: 2 }, false],
  ];
  for (const [change, expected] of rows) {
    assert.equal(planRestart({ ...run, ...change }) !== undefined, expected, JSON.stringify(change));
  }
});

test("the delay doubles from 100 ms to a minute, and begins anew after ten seconds of running", () => {
  const always = { ...run, policy: { Name: "always" } as const };
  const delays: number[] = [];
  let lastDelayMs = 0;
  for (let n = 0; n < 12; n++) {
    lastDelayMs = planRestart({ ...always, lastDelayMs }) ?? 0;
    delays.push(lastDelayMs);
  }
  assert.deepEqual(delays, [100, 200, 400, 800, 1600, 3200, 6400, 12800, 25600, 51200, 60000, 60000]);
  assert.equal(planRestart({ ...always, lastDelayMs: 60_000, ranForMs: 9_999 }), 60_000);
  assert.equal(planRestart({ ...always, lastDelayMs: 60_000, ranForMs: 10_000 }), 100);
});
