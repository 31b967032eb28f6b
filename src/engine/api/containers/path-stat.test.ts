import assert from "node:assert/strict";
import { test } from "node:test";
import { goFileMode, goTime, renderPathStat } from "./path-stat.ts";

// As dockerd 28.5 answers for such files.
test("modes have Go's bits", () => {
  const modes: readonly (readonly [number, number])[] = [
    [0o100644, 420],
    [0o104755, 8_389_101],
    [0o040755, 2_147_484_141],
    [0o041777, 2_148_532_735],
    [0o120777, 134_218_239],
    [0o020644, 69_206_436],
    [0o060644, 2 ** 26 + 0o644],
    [0o010644, 33_554_852],
    [0o140755, 2 ** 24 + 0o755],
    [0o102755, 2 ** 22 + 0o755],
  ];
  for (const [mode, go] of modes) assert.equal(goFileMode(mode), go, mode.toString(8));
});

test("times have no zeros at the end of the fraction, and may be before 1970", () => {
  assert.equal(goTime(1_700_000_000_000_000_000n), "2023-11-14T22:13:20Z");
  assert.equal(goTime(1_700_000_000_120_000_000n), "2023-11-14T22:13:20.12Z");
  assert.equal(goTime(1n), "1970-01-01T00:00:00.000000001Z");
  assert.equal(goTime(-1n), "1969-12-31T23:59:59.999999999Z");
});

test("the header is JSON in base64, its members in dockerd's order", () => {
  const header = renderPathStat({ name: "ü", sizeBytes: 3, mode: 0o120777, modifiedNs: 0n, linkTarget: "/x" });
  assert.equal(
    Buffer.from(header, "base64").toString(),
    '{"name":"ü","size":3,"mode":134218239,"mtime":"1970-01-01T00:00:00Z","linkTarget":"/x"}',
  );
});
