// Power cuts and a failing disk under the store. Needs root, loop devices and ext4; see store-power-cut.ts for how.

import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { run } from "../../src/engine/kernel/run.ts";
import { chooseSeed, type WriterKind } from "./store-model.ts";
import type { IoErrorReport, PowerCutReport } from "./store-power-cut.ts";

const cycles = Number(process.env["STORE_POWER_CUT_CYCLES"] ?? 40);

async function runScenario(
  t: TestContext,
  scenario: "power-cut" | "io-error",
  kind: WriterKind,
  cycles: number,
): Promise<unknown> {
  const seed = chooseSeed();
  t.diagnostic(`SEED=${seed}`);
  const workdir = mkdtempSync(join(tmpdir(), "gantry-store-power-"));
  t.after(() => rmSync(workdir, { recursive: true }));
  const shutdown = join(workdir, "ext4-shutdown");
  await run(["cc", "-Wall", "-Wextra", "-Werror", "-o", shutdown, join(import.meta.dirname, "ext4-shutdown.c")]);
  const program = join(import.meta.dirname, "store-power-cut.ts");
  const argv = ["unshare", "--mount", "--propagation", "private", process.execPath, program];
  return JSON.parse(
    await run([...argv, scenario, kind, String(cycles), String(seed), workdir, shutdown], { timeoutMs: 500_000 }),
  );
}

test(`after each of ${cycles} power cuts every acknowledged commit is there, and no commit by halves`, async (t) => {
  const report = (await runScenario(t, "power-cut", "store", cycles)) as PowerCutReport;
  t.diagnostic(`${cycles} power cuts, ${report.acks} acknowledged commits`);
  assert.deepEqual(
    report.findings,
    Array.from({ length: cycles }, () => ({ lost: 0, torn: [] })),
  );
  assert.ok(report.acks > cycles);
});

test("control: without the sync of each commit a power cut loses commits, so this harness sees loss", async (t) => {
  const report = (await runScenario(t, "power-cut", "sqlite-normal", 60)) as PowerCutReport;
  t.diagnostic(`lost ${report.findings.at(-1)?.lost} of ${report.acks} after ${report.findings.length} cuts`);
  assert.ok((report.findings.at(-1)?.lost ?? 0) > 0);
});

test("when the disk fails the store is read-only from then on, says so once, and loses nothing acknowledged", async (t) => {
  const report = (await runScenario(t, "io-error", "store", 0)) as IoErrorReport;
  const [message = ""] = report.logged;
  assert.match(
    message,
    /^the store is read-only since writing to .*gantry\.db failed: .*; repair the disk, then restart/,
  );
  assert.deepEqual(report, {
    outcomes: Array(5).fill(`EngineError: ${message}`),
    logged: [message],
    lost: 0,
  });
});
