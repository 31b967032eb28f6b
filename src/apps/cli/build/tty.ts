// Progress on a terminal: a frame of lines that is drawn again in place, a line per vertex with its time, below it what it does and
// the last lines of its output. What is over stays, as far as there is room.

import { escapeControls } from "../escape.ts";
import { renderAmount } from "./plain.ts";
import { type BuildDisplay, type BuildStatus, type TaskStatus, type VertexStatus, renderSeconds } from "./status.ts";

interface Row {
  vertex: VertexStatus;
  readonly tasks: Map<string, TaskStatus>;
  tail: string[];
  partial: string;
  readonly decoder: TextDecoder;
}

export interface TtyOptions {
  write(text: string): void;
  size(): { readonly rows: number; readonly columns: number };
  /** Nanoseconds since 1970. */
  nowNs(): bigint;
  readonly color: boolean;
}

const frameMs = 100;
const tailLines = 6;

export class TtyDisplay implements BuildDisplay {
  readonly #options: TtyOptions;
  readonly #rows = new Map<string, Row>();
  readonly #startedNs: bigint;
  readonly #timer: NodeJS.Timeout;
  /** Widths of the lines of the frame that stands there. */
  #drawn: readonly number[] = [];

  constructor(options: TtyOptions) {
    this.#options = options;
    this.#startedNs = options.nowNs();
    this.#timer = setInterval(() => this.#draw(false), frameMs);
    this.#timer.unref();
  }

  show(status: BuildStatus): void {
    for (const vertex of status.vertexes) {
      const row = this.#rows.get(vertex.digest);
      if (row !== undefined) row.vertex = vertex;
      else if (vertex.startedNs !== undefined || vertex.cached)
        this.#rows.set(vertex.digest, { vertex, tasks: new Map(), tail: [], partial: "", decoder: new TextDecoder() });
    }
    for (const task of status.tasks) this.#rows.get(task.vertex)?.tasks.set(task.id, task);
    for (const { vertex, data } of status.logs) {
      const row = this.#rows.get(vertex);
      if (row === undefined) continue;
      const lines = (row.partial + row.decoder.decode(data, { stream: true })).split("\n");
      row.partial = lines.pop() ?? "";
      row.tail = [...row.tail, ...lines].slice(-tailLines);
    }
  }

  end(): void {
    clearInterval(this.#timer);
    this.#draw(true);
  }

  #draw(final: boolean): void {
    const { rows, columns } = this.#options.size();
    const now = this.#options.nowNs();
    const all = [...this.#rows.values()];
    const done = all.filter(({ vertex }) => vertex.completedNs !== undefined).length;
    const head = `[+] Building ${renderSeconds(now - this.#startedNs)} (${done}/${all.length})${final && done === all.length ? " FINISHED" : ""}`;
    const body = all.flatMap((row) => this.#linesOf(row, now, columns));
    const room = Math.max(1, rows - 2);
    const shown = final ? body : body.slice(-room);
    const lines = [this.#line(head, "", columns, ""), ...shown];
    // A terminal that became narrower has broken lines of the old frame.
    const height = this.#drawn.reduce((sum, width) => sum + Math.max(1, Math.ceil(width / columns)), 0);
    const up = height === 0 ? "" : `\u001B[${Math.min(height, rows - 1)}A\r`;
    // Each line is written over what was there, so that nothing is blank in between.
    this.#options.write(`${up}${lines.map((line) => `${line}\u001B[K\n`).join("")}\u001B[J`);
    this.#drawn = lines.map(widthOf);
  }

  #linesOf(row: Row, now: bigint, columns: number): readonly string[] {
    const { vertex } = row;
    const isOver = vertex.completedNs !== undefined;
    const tookNs = vertex.startedNs === undefined ? 0n : (vertex.completedNs ?? now) - vertex.startedNs;
    const mark = vertex.error !== "" ? "ERROR " : vertex.cached ? "CACHED " : "";
    const color = vertex.error !== "" ? "31" : isOver ? "34" : "";
    const lines = [this.#line(` => ${mark}${vertex.name}`, renderSeconds(tookNs < 0n ? 0n : tookNs), columns, color)];
    for (const task of row.tasks.values()) {
      const took = (task.completedNs ?? now) - (task.startedNs ?? now);
      lines.push(
        this.#line(` => => ${task.id}${renderAmount(task)}`, renderSeconds(took < 0n ? 0n : took), columns, color),
      );
    }
    if (!isOver || vertex.error !== "")
      for (const text of row.tail) lines.push(this.#line(` => => # ${text.replace(/\r$/, "")}`, "", columns, ""));
    return lines;
  }

  #line(text: string, right: string, columns: number, color: string): string {
    const width = Math.max(10, columns - right.length - 2);
    const characters = Array.from(escapeControls(text));
    const cut = characters.length > width ? `${characters.slice(0, width - 1).join("")}…` : characters.join("");
    const line = `${cut.padEnd(width)} ${right}`.trimEnd();
    return color === "" || !this.#options.color ? line : `\u001B[${color}m${line}\u001B[0m`;
  }
}

/** Of a line with its colours. */
function widthOf(line: string): number {
  let width = 0;
  let at = 0;
  while (at < line.length) {
    if (line[at] === "\u001B") at = line.indexOf("m", at) + 1;
    else {
      width++;
      at += (line.codePointAt(at) ?? 0) > 0xffff ? 2 : 1;
    }
  }
  return width;
}
