// The network drivers on the real kernel: their suite, and what is of one driver only, in a network namespace of its own.
// What this kernel may lack (ipvlan, VLANs, dummies) is tested in a virtual machine: network-vm.test.ts.

import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { addNamespace, removeNamespace, runCommand } from "../support/daemon.ts";
import { casesOf } from "../support/driver-lines.ts";

const program = join(import.meta.dirname, "../support/driver-cases.ts");

for (const [subject, cases] of [
  ["bridge", 17],
  ["macvlan", 8],
  ["unsure", 2],
] as const) {
  test(`${subject}: the driver does what every driver must, and what is its own`, async (t) => {
    const netns = `drv-${process.pid}-${subject}`;
    addNamespace(netns);
    t.after(() => removeNamespace(netns));
    const result = await runCommand(["nsenter", `--net=/run/netns/${netns}`, process.execPath, program, subject]);
    const found = casesOf(result.stdout);
    assert.equal(found.length, cases, result.stdout + result.stderr);
    for (const { title, wrong } of found) await t.test(title, () => assert.equal(wrong, ""));
  });
}
