// A disk that fills up in the middle of a layer, under load, pull, commit and push. Needs root, docker-registry and gantry-unpack.

import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { run } from "../../src/engine/kernel/run.ts";
import { TestRegistry } from "../support/registry.ts";
import { file, tarOf } from "../support/tar.ts";
import type { FullDiskReport } from "./images-full-disk.ts";

test("load, pull, commit and push say that the disk is full, leave nothing, and work when there is space", {
  timeout: 180_000,
}, async (t) => {
  const workdir = mkdtempSync(join(tmpdir(), "gantry-images-full-"));
  t.after(() => rmSync(workdir, { recursive: true }));
  await using registry = await TestRegistry.start();
  await registry.pushImage("pulled", "1", {
    layers: Array.from({ length: 2 }, () => ({ tar: tarOf(file("f", randomBytes(16 << 20))) })),
  });
  const program = join(import.meta.dirname, "images-full-disk.ts");
  const namespace = ["unshare", "--mount", "--propagation", "private"];
  const argv = [...namespace, process.execPath, program, workdir, registry.address] as const;
  const report = JSON.parse(await run(argv, { timeoutMs: 150_000 })) as FullDiskReport;
  const text = JSON.stringify(report, undefined, 1);
  for (const [name, says] of [
    ["load with 72 MiB", /layer .*no space left on device/],
    ["load with 6 MiB", /layer .*no space left on device/],
    ["pull with 72 MiB", /\/pulled:1: .*layer \d of 2 \(sha256:[0-9a-f]{64}\): .*no space left on device/],
    ["pull with 6 MiB", /\/pulled:1: .*layer \d of 2 \(sha256:[0-9a-f]{64}\): .*no space left on device/],
    ["commit with 6 MiB", /no space left on device/i],
    ["push with 72 MiB", /\/pushed:1: .*no space left on device/],
    ["push with 6 MiB", /\/pushed:1: compress layer sha256:.*no space left on device/],
  ] as const)
    assert.match(report.full[name] ?? "", says, `${name}: ${text}`);
  assert.equal(report.full["tag and rmi with 0 MiB"], "done", text);
  assert.deepEqual(report.left, [], text);
  assert.deepEqual(report.free, { load: "done", pull: "done", commit: "done", push: "done" }, text);
  assert.deepEqual(report.findings, []);
});
