import assert from "node:assert/strict";
import { test } from "node:test";
import { parseExitRecord } from "./exit-file.ts";

const text = "version=1\nexitCode=137\nsignal=9\noomKilled=1\nfinishedAt=2026-11-27T21:35:12.183981464Z\n";

test("an exit record as the shim writes it", () => {
  assert.deepEqual(parseExitRecord(text), {
    exitCode: 137,
    signal: 9,
    oomKilled: true,
    finishedAt: "2026-11-27T21:35:12.183981464Z",
  });
  assert.equal(parseExitRecord(text.replace("signal=9", "signal=0"))?.signal, undefined);
});

test("half a record, or one of another version, is none", () => {
  for (const damaged of [
    "",
    text.slice(0, 30),
    text.replace("version=1", "version=2"),
    text.replace(/exitCode=\d+/, "exitCode=x"),
  ]) {
    assert.equal(parseExitRecord(damaged), undefined);
  }
});
