// The exit record: key=value lines, written and fsynced by the shim under the data root before anybody is told.
// Source: docs/shim-protocol.md, "Exit record".

import { readFile } from "node:fs/promises";
import { EngineError, errnoOf } from "../../base/errors.ts";
import { parseRfc3339 } from "../../base/time.ts";
import type { Frame } from "./shim-frames.ts";
import type { ExitRecord } from "./shim.ts";

function toRecord(code: string, signal: string, oom: string, finishedAt: string): ExitRecord | undefined {
  const exitCode = Number(code);
  const number = Number(signal);
  if (!/^\d{1,3}$/.test(code) || exitCode > 255 || !/^\d{1,3}$/.test(signal)) return undefined;
  if ((oom !== "0" && oom !== "1") || parseRfc3339(finishedAt) === undefined) return undefined;
  return { exitCode, signal: number === 0 ? undefined : number, oomKilled: oom === "1", finishedAt };
}

/** @throws DataLoss it is not a complete record of a version that is known */
export function parseExitRecord(text: string): ExitRecord {
  const values = new Map(
    text.split("\n").map((line): [string, string] => {
      const at = line.indexOf("=");
      return [line.slice(0, Math.max(at, 0)), line.slice(at + 1)];
    }),
  );
  const value = (key: string): string => values.get(key) ?? "";
  const record =
    text.endsWith("\n") && value("version") === "1"
      ? toRecord(value("exitCode"), value("signal"), value("oomKilled"), value("finishedAt"))
      : undefined;
  if (record === undefined)
    throw new EngineError("DataLoss", `malformed exit record: ${JSON.stringify(text.slice(0, 200))}`);
  return record;
}

/**
 * Reads the record that a shim left behind; undefined when there is none.
 *
 * @throws DataLoss it is malformed
 */
export async function readExitRecord(path: string): Promise<ExitRecord | undefined> {
  try {
    return parseExitRecord(await readFile(path, "utf8"));
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return undefined;
    throw error;
  }
}

/** The record in an exit event or a state reply; undefined where it has none. @throws DataLoss malformed */
export function exitRecordOf(frame: Frame): ExitRecord | undefined {
  const code = frame.get("exit.code");
  if (code === undefined) return undefined;
  const record = toRecord(
    code,
    frame.get("exit.signal") ?? "0",
    frame.get("exit.oom") ?? "0",
    frame.get("exit.at") ?? "",
  );
  if (record === undefined) throw new EngineError("DataLoss", "malformed exit event from a shim");
  return record;
}
