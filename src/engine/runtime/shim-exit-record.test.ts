import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { isEngineError } from "../../base/errors.ts";
import { exitRecordOf, parseExitRecord, readExitRecord } from "./shim-exit-record.ts";
import { parseFrame } from "./shim-frames.ts";

const text = "version=1\nexitCode=137\nsignal=9\noomKilled=1\nfinishedAt=2026-01-02T03:04:05.6Z\n";
const record = { exitCode: 137, signal: 9, oomKilled: true, finishedAt: "2026-01-02T03:04:05.6Z" };

test("a record is read as written; signal 0 is none", () => {
  assert.deepEqual(parseExitRecord(text), record);
  assert.deepEqual(parseExitRecord(text.replace("signal=9", "signal=0").replace("oomKilled=1", "oomKilled=0")), {
    ...record,
    signal: undefined,
    oomKilled: false,
  });
});

test("incomplete and malformed records are DataLoss", () => {
  const broken = [
    "",
    text.slice(0, -1),
    text.slice(0, 30),
    text.replace("version=1", "version=2"),
    text.replace("137", "256"),
    text.replace("137", "-1"),
    text.replace("oomKilled=1", "oomKilled=yes"),
    text.replace("2026-01-02T", ""),
  ];
  for (const each of broken)
    assert.throws(
      () => parseExitRecord(each),
      (error) => isEngineError(error, "DataLoss"),
      each,
    );
});

test("a record that is not there is undefined", async () => {
  const dir = await mkdtemp(join(tmpdir(), "gantry-exit-"));
  try {
    assert.equal(await readExitRecord(join(dir, "exit")), undefined);
    await writeFile(join(dir, "exit"), text);
    assert.deepEqual(await readExitRecord(join(dir, "exit")), record);
  } finally {
    await rm(dir, { recursive: true });
  }
});

test("an event carries a record or none", () => {
  const frame = parseFrame(Buffer.from("exit.code=137\0exit.signal=9\0exit.oom=1\0exit.at=2026-01-02T03:04:05.6Z\0"));
  assert.deepEqual(exitRecordOf(frame), record);
  assert.equal(exitRecordOf(parseFrame(Buffer.from("pid=1\0"))), undefined);
  assert.throws(
    () => exitRecordOf(parseFrame(Buffer.from("exit.code=x\0"))),
    (error) => isEngineError(error, "DataLoss"),
  );
});
