// Gantry answers every step as dockerd 28.5 does, but for the differences that a step names. With DOCKER_REFERENCE set to a
// dockerd's socket the recorded answers themselves are checked too.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { startDaemon } from "../support/daemon.ts";
import { makeHostDirectory } from "./host-directory.ts";
import { type Observation, observe, type Step } from "./client.ts";
import { scenarios } from "./scenarios.ts";

const expectations = JSON.parse(readFileSync(join(import.meta.dirname, "expectations.json"), "utf8")) as Readonly<
  Record<string, Observation>
>;

/** @param observed ours, whose text stands where a pattern describes it */
function expected(step: Step, observed: Observation): Observation {
  const recorded = expectations[step.name];
  if (recorded === undefined) throw new Error(`no answer is recorded for ${step.name}: run record.ts`);
  if (step.ours === undefined) return recorded;
  const { status, message, value } = step.ours;
  if (message instanceof RegExp) {
    assert.match(observed.message ?? "", message);
    return { status, message: observed.message ?? "" };
  }
  if (status >= 400) return { status, message: message ?? recorded.message ?? "" };
  // An error of dockerd's has none to compare with.
  const { contentType = observed.contentType } = recorded;
  return { status, ...(contentType === undefined ? {} : { contentType }), ...(value === undefined ? {} : { value }) };
}

test("every step of the scenarios is answered as by dockerd", async (t) => {
  using _ = makeHostDirectory();
  await using daemon = await startDaemon();
  for (const step of scenarios) {
    await t.test(step.name, async () => {
      const observed = await observe(daemon.socket, step);
      assert.deepEqual(observed, expected(step, observed));
    });
  }
});

const reference = process.env["DOCKER_REFERENCE"];
test("the recorded answers are still the reference's", { skip: reference === undefined }, async (t) => {
  using _ = makeHostDirectory();
  for (const step of scenarios) {
    await t.test(step.name, async () => {
      assert.deepEqual(await observe(reference ?? "", step), expectations[step.name]);
    });
  }
});
