// The history of builds as `docker buildx history` reads it.

import { EngineError } from "../../base/errors.ts";
import { codes, type MessageInit, type MessageOf } from "../../grpc/index.ts";
import { type BuildHistoryEvent, type BuildHistoryRequest, historyEventTypes } from "../../spec/buildkit/control.ts";
import { sourceDetail, vertexDetail } from "../../spec/buildkit/errdefs.ts";
import { timestampOfText } from "../../spec/buildkit/types.ts";
import type { BuildHistory, BuildRecord } from "../build/index.ts";
import { errorRange } from "./failure.ts";

type Event = MessageInit<typeof BuildHistoryEvent>;

/** What is there, those that run first, then what happens, unless the client wants no more. */
export async function* listenHistory(
  history: BuildHistory,
  request: MessageOf<typeof BuildHistoryRequest>,
  signal: AbortSignal,
): AsyncGenerator<Event> {
  const matches = parseHistoryFilters(request.Filter);
  const wanted = (record: BuildRecord): boolean =>
    (request.Ref === "" || record.ref === request.Ref) && matches(record);
  // Begun before the list is read, so that nothing between is missed.
  const changes = request.EarlyExit ? undefined : history.watch(signal);
  const records = history.list().filter(wanted);
  const running = records.filter(({ state }) => state === "running");
  const ended = request.ActiveOnly ? [] : records.filter(({ state }) => state !== "running");
  const newest = [...ended].sort((a, b) => (a.createdAt < b.createdAt ? 1 : -1));
  const limited = request.Limit > 0 ? newest.slice(0, request.Limit) : newest;
  for (const record of running) yield { type: historyEventTypes.started, record: renderRecord(record) };
  for (const record of limited) yield { type: historyEventTypes.complete, record: renderRecord(record) };
  if (changes === undefined) return;
  for await (const { change, record } of changes)
    if (wanted(record)) yield { type: historyEventTypes[change], record: renderRecord(record) };
}

export function renderRecord(record: BuildRecord): Event["record"] {
  const [first] = record.outputs;
  const attestations = record.attachments.map(({ type, digest, size }) => ({
    media_type: "application/vnd.in-toto+json",
    digest,
    size,
    annotations: { "in-toto.io/predicate-type": type },
  }));
  const results = { Attestations: attestations };
  return {
    Ref: record.ref,
    Frontend: "dockerfile.v0",
    FrontendAttrs: record.request,
    Exporters: record.outputs.map(({ type }) => ({ Type: type })),
    error: renderError(record),
    CreatedAt: timestampOfText(record.createdAt),
    CompletedAt: timestampOfText(record.completedAt),
    ExporterResponse: first?.response ?? {},
    ...(record.platforms.length > 1
      ? { Results: Object.fromEntries(record.platforms.map((platform) => [platform, results])) }
      : { Result: results }),
    pinned: record.pinned,
    numCachedSteps: record.cachedSteps,
    numTotalSteps: record.totalSteps,
    numCompletedSteps: record.completedSteps,
    numWarnings: record.warnings,
  };
}

function renderError(record: BuildRecord): NonNullable<Event["record"]>["error"] {
  if (record.error === undefined) return undefined;
  const { message, source, vertex } = record.error;
  const details = [
    ...(vertex === undefined ? [] : [vertexDetail(vertex)]),
    ...(source === undefined ? [] : [sourceDetail(source.filename, source.source, source.ranges.map(errorRange))]),
  ];
  return { code: record.state === "cancelled" ? codes.cancelled : codes.unknown, message, details };
}

type Condition = (record: BuildRecord) => boolean;

/** Conditions in one filter all hold, of several filters one does. @throws InvalidParameter one that cannot be read */
export function parseHistoryFilters(filters: readonly string[]): Condition {
  const alternatives = filters.filter((filter) => filter !== "").map((filter) => filter.split(",").map(parseCondition));
  return (record) =>
    alternatives.length === 0 || alternatives.some((all) => all.every((condition) => condition(record)));
}

function parseCondition(text: string): Condition {
  const [, field = "", operator = "", rest = ""] = /^([A-Za-z]+)(==|!=|~=|<=|>=|<|>)(.*)$/s.exec(text) ?? [];
  const wanted = /^"(.*)"$/s.exec(rest)?.[1] ?? rest;
  if (field === "startedAt" || field === "completedAt") return timeCondition(field, operator, wanted, text);
  if (field === "duration") return durationCondition(operator, wanted, text);
  const valueOf = texts[field];
  if (valueOf === undefined) throw malformed(text);
  if (operator === "==") return (record) => valueOf(record) === wanted;
  if (operator === "!=") return (record) => valueOf(record) !== wanted;
  if (operator === "~=") return (record) => valueOf(record).includes(wanted);
  throw malformed(text);
}

const texts: Readonly<Record<string, (record: BuildRecord) => string>> = {
  ref: ({ ref }) => ref,
  status: ({ state }) => (state === "failed" ? "error" : state === "cancelled" ? "canceled" : state),
  repository: ({ request }) => request["vcs:source"] ?? request["context"] ?? "",
};

function malformed(text: string): EngineError {
  return new EngineError("InvalidParameter", `invalid history filter ${JSON.stringify(text)}`);
}

function compare(operator: string, a: number, b: number, text: string): boolean {
  if (operator === "<") return a < b;
  if (operator === "<=") return a <= b;
  if (operator === ">") return a > b;
  if (operator === ">=") return a >= b;
  throw malformed(text);
}

/** Against a time, or an age: "startedAt>24h" began within the last day. */
function timeCondition(field: "startedAt" | "completedAt", operator: string, wanted: string, text: string): Condition {
  compare(operator, 0, 0, text);
  const age = durationMs(wanted);
  const at = age === undefined ? Date.parse(wanted) : performance.timeOrigin + performance.now() - age;
  if (Number.isNaN(at)) throw malformed(text);
  return (record) => {
    const time = field === "startedAt" ? record.createdAt : record.completedAt;
    if (time === undefined) return false;
    // An age counts backwards: older than a day is more than a day.
    return age === undefined
      ? compare(operator, Date.parse(time), at, text)
      : compare(operator, at, Date.parse(time), text);
  };
}

function durationCondition(operator: string, wanted: string, text: string): Condition {
  compare(operator, 0, 0, text);
  const bound = durationMs(wanted);
  if (bound === undefined) throw malformed(text);
  return ({ createdAt, completedAt }) =>
    completedAt !== undefined && compare(operator, Date.parse(completedAt) - Date.parse(createdAt), bound, text);
}

const unitsMs: Readonly<Record<string, number>> = { h: 3_600_000, m: 60_000, s: 1_000, ms: 1, us: 1e-3, ns: 1e-6 };

/** Go's form: "1h30m". */
function durationMs(text: string): number | undefined {
  if (!/^(?:\d+(?:\.\d+)?(?:h|ms|m|us|ns|s))+$/.test(text)) return undefined;
  return [...text.matchAll(/(\d+(?:\.\d+)?)(h|ms|m|us|ns|s)/g)].reduce(
    (sum, [, amount, unit]) => sum + Number(amount) * (unitsMs[unit ?? ""] ?? 0),
    0,
  );
}
