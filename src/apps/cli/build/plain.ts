// Progress as lines, for logs and pipes: "#5 [2/3] RUN make", "#5 0.123 text", "#5 DONE 0.2s". Only one vertex speaks at a time; the others
// wait until it pauses or ends. Source: what docker buildx 0.29 prints with --progress=plain.

import { renderHumanSize } from "../../../base/units.ts";
import { escapeControls } from "../escape.ts";
import { type BuildDisplay, type BuildStatus, type TaskStatus, type VertexStatus, renderSeconds } from "./status.ts";

interface Lane {
  readonly number: number;
  vertex: VertexStatus;
  readonly pending: string[];
  /** Bytes of a line without its end. */
  partial: string;
  readonly decoder: TextDecoder;
  readonly tasks: Map<string, string>;
  closed: boolean;
}

/** A vertex that has been silent for so long lets others speak. */
const patienceNs = 1_000_000_000n;

export class PlainDisplay implements BuildDisplay {
  readonly #write: (text: string) => void;
  readonly #now: () => bigint;
  readonly #lanes = new Map<string, Lane>();
  #current: Lane | undefined;
  #spokeAt = 0n;

  /** @param now monotonic nanoseconds */
  constructor(write: (text: string) => void, now: () => bigint = () => process.hrtime.bigint()) {
    this.#write = write;
    this.#now = now;
  }

  show(status: BuildStatus): void {
    for (const vertex of status.vertexes) this.#open(vertex);
    for (const task of status.tasks) this.#task(task);
    for (const { vertex, atNs, data } of status.logs) this.#log(vertex, atNs, data);
    // What came along with its end was said before it.
    for (const vertex of status.vertexes) this.#close(vertex);
    this.#flush();
  }

  end(): void {
    this.#spokeAt = 0n;
    this.#flush();
    for (const lane of this.#lanes.values()) if (lane.pending.length > 0) this.#speak(lane);
  }

  #open(vertex: VertexStatus): void {
    let lane = this.#lanes.get(vertex.digest);
    if (lane === undefined) {
      if (vertex.startedNs === undefined && !vertex.cached) return;
      lane = {
        number: this.#lanes.size + 1,
        vertex,
        pending: [],
        partial: "",
        decoder: new TextDecoder(),
        tasks: new Map(),
        closed: false,
      };
      this.#lanes.set(vertex.digest, lane);
      lane.pending.push(escapeControls(vertex.name));
    }
    lane.vertex = vertex;
  }

  #close(vertex: VertexStatus): void {
    const lane = this.#lanes.get(vertex.digest);
    if (lane === undefined || lane.closed || vertex.completedNs === undefined) return;
    lane.closed = true;
    if (lane.partial !== "") lane.pending.push(lane.partial);
    lane.partial = "";
    const tookNs = vertex.completedNs - (vertex.startedNs ?? vertex.completedNs);
    if (vertex.error !== "")
      lane.pending.push(
        vertex.error.endsWith("context canceled") ? "CANCELED" : `ERROR: ${escapeControls(vertex.error)}`,
      );
    else lane.pending.push(vertex.cached ? "CACHED" : `DONE ${renderSeconds(tookNs)}`);
  }

  #task(task: TaskStatus): void {
    const lane = this.#lanes.get(task.vertex);
    if (lane === undefined || lane.closed) return;
    const done = task.completedNs !== undefined;
    const took = done && task.startedNs !== undefined ? ` ${renderSeconds(task.completedNs - task.startedNs)}` : "";
    const text = `${escapeControls(task.id)}${renderAmount(task)}${took}${done ? " done" : ""}`;
    // What only counts up is told when it is done.
    const isNew = !lane.tasks.has(task.id);
    if (lane.tasks.get(task.id) === text || !(done || isNew)) return;
    lane.tasks.set(task.id, text);
    lane.pending.push(text);
  }

  #log(digest: string, atNs: bigint, data: Uint8Array): void {
    const lane = this.#lanes.get(digest);
    if (lane === undefined) return;
    const since = Number(atNs - (lane.vertex.startedNs ?? atNs)) / 1e9;
    const lines = (lane.partial + lane.decoder.decode(data, { stream: true })).split("\n");
    lane.partial = lines.pop() ?? "";
    if (lane.partial !== "" && !/^[0-9.]+ /.test(lane.partial)) lane.partial = `${since.toFixed(3)} ${lane.partial}`;
    for (const line of lines) {
      const text = escapeControls(line.replace(/\r$/, ""));
      lane.pending.push(/^[0-9]+\.[0-9]{3} /.test(text) ? text : `${since.toFixed(3)} ${text}`);
    }
  }

  #flush(): void {
    const now = this.#now();
    const current = this.#current;
    if (current !== undefined && current.pending.length > 0) {
      this.#speak(current);
      this.#spokeAt = now;
    }
    if (current !== undefined && !current.closed && now - this.#spokeAt < patienceNs) return;
    for (const lane of this.#lanes.values()) {
      if (lane.pending.length === 0) continue;
      this.#speak(lane);
      this.#spokeAt = now;
      if (!lane.closed) return;
    }
  }

  #speak(lane: Lane): void {
    if (this.#current !== lane) {
      const name = escapeControls(lane.vertex.name);
      this.#write(this.#current === undefined ? "" : "\n");
      if (lane.pending[0] !== name) this.#write(`#${lane.number} ${name}\n`);
      this.#current = lane;
    }
    for (const text of lane.pending.splice(0)) this.#write(`#${lane.number} ${text}\n`);
  }
}

/** " 1.2MB / 3MB", " 94B", "". */
export function renderAmount({ current, total }: TaskStatus): string {
  if (total > 0) return ` ${renderHumanSize(current)} / ${renderHumanSize(total)}`;
  return current > 0 ? ` ${renderHumanSize(current)}` : "";
}
