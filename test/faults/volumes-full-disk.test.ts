// A disk that is full: copy-up, snapshots, restore, import and cp say so and leave nothing; deleting works without a free block. Needs root,
// loop devices and ext4.

import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { run } from "../../src/engine/kernel/run.ts";
import { buildBundle } from "../support/bundle.ts";
import type { FullDiskReport } from "./volumes-full-disk.ts";

test("what copies into volumes says that the disk is full, leaves nothing, and works when there is space", {
  timeout: 180_000,
}, async (t) => {
  using bundle = buildBundle();
  const workdir = mkdtempSync(join(tmpdir(), "gantry-volumes-full-"));
  t.after(() => rmSync(workdir, { recursive: true }));
  const program = join(import.meta.dirname, "volumes-full-disk.ts");
  const namespace = ["unshare", "--mount", "--propagation", "private"];
  const argv = [...namespace, process.execPath, program, workdir, bundle.dir] as const;
  const report = JSON.parse(await run(argv, { timeoutMs: 150_000 })) as FullDiskReport;
  const text = JSON.stringify(report, undefined, 1);
  for (const [name, said] of Object.entries(report.full))
    assert.match(said, /^503 .*no space left on device/, `${name}: ${text}`);
  assert.deepEqual(report.left, [], text);
  assert.deepEqual([...new Set(Object.values(report.deleted))], [204], text);
  assert.deepEqual(
    report.free,
    {
      "fill a new volume": 201,
      "fill an empty volume": 201,
      snapshot: 201,
      restore: 200,
      import: 201,
      "cp into a running container": 200,
      "cp into a stopped container": 200,
    },
    text,
  );
  assert.deepEqual(report.findings, [], text);
});
