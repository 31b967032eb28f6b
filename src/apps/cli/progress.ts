// Progress streams of the daemon (load, import, pull): lines of text, and on a terminal a line per id that is rewritten.

import { renderHumanSize } from "../../base/units.ts";
import type { ProgressLine } from "../../client/images.ts";
import { CliError } from "./command.ts";
import { escapeControls } from "./escape.ts";

function textOf(line: ProgressLine): string {
  const { current = 0, total = 0 } = line.progressDetail ?? {};
  const amount = current > 0 ? ` ${renderHumanSize(current)}${total > 0 ? `/${renderHumanSize(total)}` : ""}` : "";
  return escapeControls(
    `${line.id === undefined || line.id === "" ? "" : `${line.id}: `}${line.status ?? ""}${amount}`,
  );
}

/**
 * Shows a stream to its end.
 *
 * @param isTerminal  lines with an id are rewritten in place; without a terminal, amounts are left out
 * @throws CliError   the stream's own error, its last line
 */
export async function showProgress(
  lines: AsyncIterable<ProgressLine>,
  write: (text: string) => Promise<void> | void,
  isTerminal: boolean,
): Promise<void> {
  const rows = new Map<string, number>();
  for await (const line of lines) {
    const failure = line.errorDetail?.message ?? line.error;
    if (failure !== undefined) throw new CliError(failure);
    if (line.stream !== undefined) {
      await write(escapeControls(line.stream));
      continue;
    }
    if (line.status === undefined) continue;
    const { id } = line;
    if (!isTerminal || id === undefined || id === "") {
      if (line.progressDetail?.current === undefined) await write(`${textOf(line)}\n`);
      continue;
    }
    const row = rows.get(id);
    if (row === undefined) {
      rows.set(id, rows.size);
      await write(`${textOf(line)}\n`);
    } else {
      const up = rows.size - row;
      await write(`\x1b[${up}A\x1b[2K\r${textOf(line)}\r\x1b[${up}B`);
    }
  }
}
