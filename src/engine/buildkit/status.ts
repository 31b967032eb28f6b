// Progress of a build → BuildKit's StatusResponse. Messages stay small, however much a step writes at once.

import type { MessageInit } from "../../grpc/index.ts";
import type { StatusResponse, Vertex, VertexLog, VertexStatus, VertexWarning } from "../../spec/buildkit/control.ts";
import { timestampOf } from "../../spec/buildkit/types.ts";
import type { BuildEvent, VertexProgress } from "../build/progress.ts";
import { errorRange } from "./failure.ts";

/** Bytes of logs, and number of other events, in one message. */
const maxLogBytes = 1024 * 1024;
const maxEvents = 1_000;

interface Response {
  readonly vertexes: MessageInit<typeof Vertex>[];
  readonly statuses: MessageInit<typeof VertexStatus>[];
  readonly logs: MessageInit<typeof VertexLog>[];
  readonly warnings: MessageInit<typeof VertexWarning>[];
}

/** @returns nothing where clients are told nothing */
export function renderStatus(events: readonly BuildEvent[]): readonly MessageInit<typeof StatusResponse>[] {
  const responses: Response[] = [];
  let current: Response | undefined;
  let count = 0;
  let logBytes = 0;
  for (const event of events) {
    if (event.kind === "plan") continue;
    if (current === undefined || count >= maxEvents || logBytes >= maxLogBytes) {
      current = { vertexes: [], statuses: [], logs: [], warnings: [] };
      responses.push(current);
      count = 0;
      logBytes = 0;
    }
    count++;
    if (event.kind === "log") logBytes += event.data.length;
    add(current, event);
  }
  return responses;
}

function add(response: Response, event: Exclude<BuildEvent, { readonly kind: "plan" }>): void {
  switch (event.kind) {
    case "vertex":
      response.vertexes.push(renderVertex(event.vertex));
      return;
    case "status":
      response.statuses.push({
        ID: event.id,
        vertex: event.vertex,
        current: event.current,
        total: event.total,
        timestamp: timestampOf(event.at),
        started: timestampOf(event.startedAt),
        completed: event.completedAt === undefined ? undefined : timestampOf(event.completedAt),
      });
      return;
    case "log":
      response.logs.push({
        vertex: event.vertex,
        timestamp: timestampOf(event.at),
        stream: event.stream,
        msg: event.data,
      });
      return;
    case "warning":
      response.warnings.push({
        vertex: event.vertex,
        level: event.level,
        short: Buffer.from(event.short),
        detail: event.detail.map((line) => Buffer.from(line)),
        url: event.url,
        info: { filename: event.filename, data: Buffer.from(event.source) },
        ranges: event.ranges.map(errorRange),
      });
  }
}

function renderVertex(vertex: VertexProgress): MessageInit<typeof Vertex> {
  return {
    digest: vertex.digest,
    inputs: vertex.inputs,
    name: vertex.name,
    cached: vertex.cached,
    started: vertex.startedAt === undefined ? undefined : timestampOf(vertex.startedAt),
    completed: vertex.completedAt === undefined ? undefined : timestampOf(vertex.completedAt),
    error: vertex.error,
  };
}
