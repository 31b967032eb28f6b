// The exit record that a shim leaves on disk before it tells anybody: key=value lines, written to a temporary file, synced
// and renamed. Source: docs/shim-protocol.md, "Exit record".

import { readFile } from "node:fs/promises";
import { errnoOf } from "../../base/errors.ts";
import { parseRfc3339 } from "../../base/time.ts";
import type { ExitRecord } from "../runtime/index.ts";

/** undefined where there is none; a file that is no record counts as none. */
export async function readExitFile(path: string): Promise<ExitRecord | undefined> {
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return undefined;
    throw error;
  }
  return parseExitRecord(text);
}

export function parseExitRecord(text: string): ExitRecord | undefined {
  const fields = new Map(
    text.split("\n").map((line): [string, string] => {
      const at = line.indexOf("=");
      return [line.slice(0, at), line.slice(at + 1)];
    }),
  );
  const exitCode = Number(fields.get("exitCode") ?? Number.NaN);
  const signal = Number(fields.get("signal") ?? 0);
  const finishedAt = fields.get("finishedAt") ?? "";
  if (fields.get("version") !== "1" || !Number.isInteger(exitCode) || parseRfc3339(finishedAt) === undefined) {
    return undefined;
  }
  return { exitCode, signal: signal > 0 ? signal : undefined, oomKilled: fields.get("oomKilled") === "1", finishedAt };
}
