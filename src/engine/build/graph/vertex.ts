// Identity of a vertex: canonical JSON of its op and the digests of its inputs. The same text of a step is the same vertex.

import type { Digest } from "../../../base/digest.ts";
import { digestOf } from "../../../base/digest.ts";
import type { Op } from "./index.ts";

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (value instanceof Map) return sorted(Object.fromEntries(value));
  if (typeof value === "bigint") return value.toString();
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value).filter(([, member]) => member !== undefined);
  entries.sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
  return Object.fromEntries(entries.map(([key, member]) => [key, sorted(member)]));
}

/** JSON with sorted members and without those that are undefined. */
export function canonicalJson(value: unknown): string {
  return JSON.stringify(sorted(value)) ?? "null";
}

/** The op as it counts for keys: without the values of variables that do not count (proxies). */
export function definitionOf(op: Op): Op {
  if (op.kind !== "exec" || op.ignoredEnv.length === 0) return op;
  const ignored = new Set(op.ignoredEnv);
  const env = op.env.filter((pair) => !ignored.has(pair.split("=", 1)[0] ?? ""));
  return { ...op, env, ignoredEnv: [] };
}

/** sha256 of the op's definition and its inputs, in order. */
export function vertexDigest(op: Op, inputs: readonly Digest[]): Digest {
  return digestOf(canonicalJson({ op: definitionOf(op), inputs }));
}
