// The build cache as `docker buildx du` and `docker buildx prune` see it. A filter is a list of conditions that must all hold, an
// entry matches when one of the filters does. Source: containerd's package filters, as BuildKit's cache manager uses it.

import { EngineError } from "../../base/errors.ts";
import type { MessageInit, MessageOf } from "../../grpc/index.ts";
import type { PruneRequest, UsageRecord } from "../../spec/buildkit/control.ts";
import { timestampOfText } from "../../spec/buildkit/types.ts";
import type { BuildCache, CacheEntry } from "../build/solver/index.ts";

const nanosPerMilli = 1_000_000;

export function renderUsage(entry: CacheEntry): MessageInit<typeof UsageRecord> {
  return {
    ID: entry.id,
    Mutable: isMutable(entry),
    InUse: entry.inUse,
    Size: entry.sizeBytes,
    Parents: entry.parents,
    CreatedAt: timestampOfText(entry.createdAt),
    LastUsedAt: timestampOfText(entry.lastUsedAt),
    UsageCount: entry.usageCount,
    Description: entry.description,
    RecordType: entry.type,
    Shared: entry.shared,
  };
}

function isMutable(entry: CacheEntry): boolean {
  return entry.type === "exec.cachemount" || entry.type === "source.local";
}

/** Removes what the request says. @returns what was removed */
export async function pruneCache(
  cache: BuildCache,
  request: MessageOf<typeof PruneRequest>,
  signal: AbortSignal,
): Promise<readonly CacheEntry[]> {
  const filters = new Map<string, readonly string[]>();
  if (request.filter.some((filter) => filter !== "")) {
    const matches = parseCacheFilters(request.filter);
    const ids = (await cache.entries()).filter(matches).map(({ id }) => id);
    if (ids.length === 0) return [];
    filters.set("id", ids);
  }
  const { removed } = await cache.prune(
    {
      all: request.all,
      filters,
      reservedBytes: request.reservedSpace,
      maxUsedBytes: request.maxUsedSpace,
      minFreeBytes: request.minFreeSpace,
      keepDurationMs: Math.floor(request.keepDuration / nanosPerMilli),
    },
    signal,
  );
  return removed;
}

type Condition = (entry: CacheEntry) => boolean;

/** @throws InvalidParameter a filter that cannot be read, or is about something that entries do not have */
export function parseCacheFilters(filters: readonly string[]): Condition {
  const alternatives = filters.filter((filter) => filter !== "").map((filter) => filter.split(",").map(parseCondition));
  return (entry) => alternatives.length === 0 || alternatives.some((all) => all.every((condition) => condition(entry)));
}

function parseCondition(text: string): Condition {
  const [, field = "", operator = "", rest = ""] = /^([a-z]+)(?:(==|!=|~=)(.*))?$/s.exec(text) ?? [];
  const valueOf = fields[field];
  if (valueOf === undefined) throw new EngineError("InvalidParameter", `invalid cache filter ${JSON.stringify(text)}`);
  const wanted = /^"(.*)"$/s.exec(rest)?.[1] ?? rest;
  if (operator === "") return (entry) => valueOf(entry).some((value) => value !== "" && value !== "false");
  if (operator === "==") return (entry) => valueOf(entry).includes(wanted);
  if (operator === "!=") return (entry) => !valueOf(entry).includes(wanted);
  const pattern = patternOf(wanted);
  return (entry) => valueOf(entry).some((value) => pattern.test(value));
}

function patternOf(source: string): RegExp {
  // A pattern may come from a stranger and is tried on short texts; what can take for ever needs nesting, which is refused.
  if (source.length > 256 || /[+*}]\)*[+*{]/.test(source))
    throw new EngineError("InvalidParameter", `invalid pattern in a cache filter: ${JSON.stringify(source)}`);
  try {
    return new RegExp(source);
  } catch (cause) {
    throw new EngineError("InvalidParameter", `invalid pattern in a cache filter: ${JSON.stringify(source)}`, {
      cause,
    });
  }
}

/** Asked for by name alone it is a yes. */
function flag(value: boolean): readonly string[] {
  return [value ? "true" : "false"];
}

const fields: Readonly<Record<string, (entry: CacheEntry) => readonly string[]>> = {
  id: ({ id }) => [id],
  parents: ({ parents }) => parents,
  parent: ({ parents }) => parents,
  description: ({ description }) => [description],
  type: ({ type }) => [type],
  inuse: ({ inUse }) => flag(inUse),
  mutable: (entry) => flag(isMutable(entry)),
  immutable: (entry) => flag(!isMutable(entry)),
  shared: ({ shared }) => flag(shared),
  private: ({ shared }) => flag(!shared),
};
