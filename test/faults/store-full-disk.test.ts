// The store on a file system without a free block. Needs root, loop devices and ext4; see store-full-disk.ts for how.

import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { run } from "../../src/engine/kernel/run.ts";
import type { FullDiskReport } from "./store-full-disk.ts";

for (const fileSystem of ["tmpfs", "ext4"]) {
  test(`on a full ${fileSystem} inserts are Unavailable, reads and deletes work, and inserts do again when space is free`, async (t) => {
    const workdir = mkdtempSync(join(tmpdir(), "gantry-store-full-"));
    t.after(() => rmSync(workdir, { recursive: true }));
    const program = join(import.meta.dirname, "store-full-disk.ts");
    const argv = ["unshare", "--mount", "--propagation", "private", process.execPath, program, fileSystem, workdir];
    const { inserted, logged, ...report } = JSON.parse(await run(argv, { timeoutMs: 120_000 })) as FullDiskReport;
    assert.ok(inserted >= 50);
    assert.deepEqual(report, {
      refusedWith: "Unavailable",
      readableWhileFull: inserted,
      deleted: ["done", "done", "done"],
      freeing: "done",
      ballastSpent: true,
      recovered: "done",
      lost: 0,
      complaints: [],
    });
    assert.equal(logged.length, 1);
    assert.match(logged[0] ?? "", /^no space left for .*gantry\.db: remove containers or images/);
  });
}
