// The output of ps(1) as GET /containers/{id}/top gives it. Pure.

import { EngineError } from "../../base/errors.ts";
import type { ContainerTopResponse } from "../../spec/docker/container.ts";

/**
 * Keeps the lines whose pid is wanted. The last column takes the rest of its line.
 *
 * @throws System the output has no PID column
 */
export function parsePs(output: string, pids: ReadonlySet<number>): ContainerTopResponse {
  const [header = "", ...lines] = output.split("\n");
  const titles = header.trim().split(/\s+/);
  const pidColumn = titles.indexOf("PID");
  if (pidColumn < 0) throw new EngineError("System", "Couldn't find PID field in ps output");
  const processes: string[][] = [];
  let last = false;
  for (const line of lines) {
    const fields = line.trim().split(/\s+/);
    if (fields.length < titles.length) continue;
    const pidText = fields[pidColumn] ?? "";
    // Threads of the process above show "-" in place of the pid.
    const wanted: boolean = pidText === "-" ? last : pids.has(Number(pidText));
    last = wanted;
    if (!wanted) continue;
    processes.push([...fields.slice(0, titles.length - 1), fields.slice(titles.length - 1).join(" ")]);
  }
  return { Processes: processes, Titles: titles };
}

/**
 * The words of ps_args. Output formats that rename the PID column would make it impossible to find.
 *
 * @throws InvalidParameter
 */
export function parsePsArgs(text: string): readonly string[] {
  const words = text.trim() === "" ? ["-ef"] : text.trim().split(/\s+/);
  for (const word of words) {
    if (/=/.test(word)) {
      throw new EngineError(
        "InvalidParameter",
        `specifying ${JSON.stringify(word)} is not allowed in ps_args: it renames a column`,
      );
    }
    if (word.includes("\0")) throw new EngineError("InvalidParameter", "ps_args has a NUL byte");
  }
  return words;
}
