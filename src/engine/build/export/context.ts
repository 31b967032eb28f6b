// What the parts of one output share, and how they tell what they do.

import type { JobContext } from "../solver/index.ts";
import type { VertexReporter } from "../progress.ts";
import type { ExportDeps } from "./index.ts";

export interface ExportContext {
  readonly deps: ExportDeps;
  readonly job: JobContext;
  /** Seconds since 1970. */
  readonly epoch: number | undefined;
  readonly inlineCache: unknown;
  readonly report: VertexReporter;
  readonly signal: AbortSignal;
}

/** A line of the output's vertex: begun, then done. What fails stays undone. */
export async function step<T>(report: VertexReporter, id: string, work: () => Promise<T> | T): Promise<T> {
  report.status(id, 0, 0, false);
  const result = await work();
  report.status(id, 0, 0, true);
  return result;
}

/** A line that tells bytes while they move. */
export function counted(report: VertexReporter, id: string): (current: number, total: number) => void {
  let next = 0;
  return (current, total) => {
    const now = performance.now();
    if (now < next && current < total) return;
    next = now + 100;
    report.status(id, current, total, false);
  };
}

/** Something of an output that the client should know of. */
export function warn({ job, report }: Pick<ExportContext, "job" | "report">, short: string, ...detail: string[]): void {
  job.progress.emit({
    kind: "warning",
    vertex: report.digest,
    level: 1,
    short,
    detail,
    url: "",
    filename: "",
    source: "",
    ranges: [],
  });
}
