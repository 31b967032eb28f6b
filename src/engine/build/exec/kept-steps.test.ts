import assert from "node:assert/strict";
import { mock, test } from "node:test";
import { type DiffId, digestOf, hexOf } from "../../../base/digest.ts";
import { KeptSteps } from "./kept-steps.ts";

function step(name: string): Parameters<KeptSteps["add"]>[0] {
  const platform = { os: "linux", architecture: "amd64" };
  return { layers: [], env: [`NAME=${name}`], user: "u", workingDirectory: "/w", args: ["true"], platform };
}

test("the last twenty failed steps are kept, and each for an hour", () => {
  mock.timers.enable({ apis: ["setTimeout"] });
  let held = 0;
  const dropped: string[] = [];
  const layers = {
    keep: () => {
      held++;
      return { [Symbol.dispose]: () => void held-- };
    },
  };
  using kept = new KeptSteps(layers, (id) => dropped.push(hexOf(id)));
  const ids = Array.from({ length: 25 }, (_, i) => kept.add(step(`s${i}`)));
  assert.equal(held, 20);
  assert.deepEqual(dropped, ids.slice(0, 5));
  assert.equal(kept.get(ids[4] ?? ""), undefined);
  assert.deepEqual(kept.get(ids[5] ?? "")?.env, ["NAME=s5"]);
  mock.timers.tick(60 * 60 * 1000);
  assert.equal(held, 0);
  assert.deepEqual(dropped, ids);
  assert.equal(kept.get(ids[24] ?? ""), undefined);
  mock.timers.reset();
});

test("a kept step's id is its image's: the same failure has it again, and its first digits find it", () => {
  let held = 0;
  const hold = { [Symbol.dispose]: () => void held-- };
  using kept = new KeptSteps({ keep: () => (held++, hold) }, () => assert.fail("nothing is dropped"));
  const layer = digestOf("layer") as string as DiffId;
  const id = kept.add({ ...step("a"), layers: [layer] });
  assert.equal(kept.add({ ...step("a"), layers: [layer] }), id);
  assert.equal(held, 1);
  const found = kept.find(id.slice(0, 12));
  assert.equal(hexOf(digestOf(found?.configBytes ?? "")), id);
  assert.deepEqual(JSON.parse(Buffer.from(found?.configBytes ?? "").toString()), {
    architecture: "amd64",
    os: "linux",
    config: { Env: ["NAME=a"], User: "u", WorkingDir: "/w", Cmd: ["true"] },
    rootfs: { type: "layers", diff_ids: [layer] },
    comment: "gantry: the state before a step of a build that failed",
  });
  kept.add(step("b"));
  assert.equal(kept.find(""), undefined, "an ambiguous prefix is nobody's");
});
