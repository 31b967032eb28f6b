// Progress streams of the daemon (pull, push, load, import), shown as docker shows them: on a terminal a line per id that is
// rewritten, with a bar where there is room; elsewhere a line for each change of a status, without amounts. A terminal that
// cannot move its cursor (TERM=dumb) gets the latter. Source: the docker CLI 28.

import { renderHumanSize } from "../../base/units.ts";
import type { ProgressLine } from "../../client/images.ts";
import { CliError } from "./command.ts";
import { escapeControls } from "./escape.ts";

/** Where progress goes. */
export interface ProgressSink {
  readonly write: (text: string) => Promise<void> | void;
  /** The terminal's size when asked, it may change; undefined for anything that is none. */
  readonly size: () => { readonly rows: number; readonly columns: number } | undefined;
}

interface Detail {
  readonly current?: number;
  readonly total?: number;
  readonly start?: number;
  readonly hidecounts?: boolean;
  readonly units?: string;
}

const barCells = 50;

function countsOf({ current = 0, total = 0, hidecounts, units = "" }: Detail): string {
  if (hidecounts === true) return "";
  if (units !== "") return current > total ? `${current} ${units}` : `${current}/${total} ${units}`;
  const done = renderHumanSize(current).padStart(8);
  return current > total ? done : `${done}/${renderHumanSize(total)}`;
}

/** "[=====>      ]  1.2MB/4MB": the bar only from 111 columns on. "" where nothing is known yet. */
export function renderAmount(detail: Detail, columns: number): string {
  const { current = 0, total = 0, units = "" } = detail;
  if (current <= 0 && total <= 0) return "";
  if (total <= 0) return units === "" ? renderHumanSize(current).padStart(8) : `${current} ${units}`;
  const filled = Math.min(Math.trunc(Math.trunc((current / total) * 100) / 2), barCells);
  const bar = columns > 110 ? `[${"=".repeat(filled)}>${" ".repeat(barCells - filled)}] ` : "";
  return `${bar}${countsOf(detail)}`;
}

function cut(text: string, columns: number): string {
  const characters = Array.from(text);
  return characters.length < columns ? text : characters.slice(0, columns - 1).join("");
}

/** stdout or stderr as a sink. */
export function streamSink(
  stream: NodeJS.WriteStream,
  write: ProgressSink["write"],
  env: Readonly<Record<string, string | undefined>>,
): ProgressSink {
  const canMove = stream.isTTY && env["TERM"] !== "dumb";
  return {
    write,
    size: () => (canMove ? { rows: stream.rows || 24, columns: stream.columns || 80 } : undefined),
  };
}

/** Takes lines one by one and draws them. */
class Screen {
  readonly #sink: ProgressSink;
  /** Which line from the top each id has, of the lines that belong together. */
  #rows = new Map<string, number>();

  constructor(sink: ProgressSink) {
    this.#sink = sink;
  }

  async show(line: ProgressLine): Promise<void> {
    const size = this.#sink.size();
    const detail: Detail | undefined = line.progressDetail;
    const hasDetail = detail !== undefined || (line.progress ?? "") !== "";
    const id = line.id ?? "";
    if (size === undefined) {
      if (detail === undefined || renderAmount(detail, 200) === "") await this.#sink.write(this.#plain(line));
      return;
    }
    if (id === "" || !hasDetail) {
      this.#rows = new Map();
      await this.#sink.write(this.#plain(line));
      return;
    }
    let row = this.#rows.get(id);
    let out = "";
    if (row === undefined) {
      row = this.#rows.size;
      this.#rows.set(id, row);
      out = "\n";
    }
    const up = this.#rows.size - row;
    // A line that has left the screen at the top cannot be reached any more.
    if (up >= size.rows) {
      if (out !== "") await this.#sink.write(out);
      return;
    }
    const amount = detail === undefined ? (line.progress ?? "") : renderAmount(detail, size.columns);
    const text = escapeControls(`${id}: ${line.status ?? ""} ${amount}`);
    await this.#sink.write(`${out}\x1b[${up}A\x1b[2K\r${cut(text, size.columns)}\r\x1b[${up}B`);
  }

  #plain(line: ProgressLine): string {
    const id = line.id ? `${line.id}: ` : "";
    if (line.stream !== undefined) return escapeControls(`${id}${line.stream}`);
    return `${escapeControls(`${id}${line.status ?? ""}`)}\n`;
  }
}

/**
 * Shows a stream to its end.
 *
 * @param onAux     called with what lines carry beside the text
 * @throws CliError the stream's own error, its last line
 */
export async function showProgress(
  lines: AsyncIterable<ProgressLine>,
  sink: ProgressSink,
  onAux: (aux: unknown) => void = () => undefined,
): Promise<void> {
  const screen = new Screen(sink);
  for await (const line of lines) {
    if (line.aux !== undefined && line.aux !== null) {
      onAux(line.aux);
      continue;
    }
    const failure = line.errorDetail?.message ?? line.error;
    if (failure !== undefined) throw new CliError(failure);
    await screen.show(line);
  }
}

/** Shows nothing; for --quiet. */
export const silentSink: ProgressSink = { write: () => undefined, size: () => undefined };
