import assert from "node:assert/strict";
import { mock, test } from "node:test";
import { KeptSteps } from "./kept-steps.ts";

function step(stepId: string): Parameters<KeptSteps["add"]>[0] {
  return { stepId, layers: [], env: [], user: "", workingDirectory: "/", args: ["true"] };
}

test("the last twenty failed steps are kept, and each for an hour", () => {
  mock.timers.enable({ apis: ["setTimeout"] });
  let held = 0;
  using kept = new KeptSteps({
    keep: () => {
      held++;
      return { [Symbol.dispose]: () => void held-- };
    },
  });
  for (let i = 0; i < 25; i++) kept.add(step(`s${i}`));
  assert.equal(held, 20);
  assert.equal(kept.get("s4"), undefined);
  assert.equal(kept.get("s5")?.stepId, "s5");
  mock.timers.tick(60 * 60 * 1000);
  assert.equal(held, 0);
  assert.equal(kept.get("s24"), undefined);
  mock.timers.reset();
});
