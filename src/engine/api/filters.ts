// The `filters` parameter: JSON, `{"status":["running"]}` or the older `{"status":{"running":true}}`.

import { EngineError } from "../../base/errors.ts";
import { parseJson } from "./json.ts";
import type { Filters } from "./ports.ts";

/**
 * @param accepted the keys of this operation; undefined accepts every key
 * @throws InvalidParameter "invalid filter" when it is no such JSON, "invalid filter 'x'" for a key that is not accepted
 */
export function parseFilters(text: string, accepted?: readonly string[]): Filters {
  if (text === "") return new Map();
  const filters = new Map<string, readonly string[]>();
  for (const [key, values] of readObject(text)) {
    if (accepted !== undefined && !accepted.includes(key))
      throw new EngineError("InvalidParameter", `invalid filter '${key.slice(0, 256)}'`);
    filters.set(key, values);
  }
  return filters;
}

function readObject(text: string): (readonly [string, readonly string[]])[] {
  const value = parse(text);
  if (value === null) return [];
  if (!(value instanceof Map)) throw malformed();
  return [...value].map(([key, member]) => {
    if (Array.isArray(member)) {
      if (!member.every((item) => typeof item === "string")) throw malformed();
      return [key, [...new Set(member)]] as const;
    }
    if (!(member instanceof Map) || ![...member.values()].every((wanted) => typeof wanted === "boolean"))
      throw malformed();
    return [key, [...member.keys()]] as const;
  });
}

function parse(text: string): ReturnType<typeof parseJson> {
  try {
    return parseJson(text);
  } catch (error) {
    throw malformed(error);
  }
}

function malformed(cause?: unknown): EngineError {
  return new EngineError("InvalidParameter", "invalid filter", { cause });
}

/**
 * A filter of one boolean value.
 *
 * @returns undefined when it is not given
 * @throws InvalidParameter "invalid filter 'is-task=[x]'" unless 1, true, 0 or false, or both of them
 */
export function boolFilter(filters: Filters, key: string): boolean | undefined {
  const values = filters.get(key);
  if (values === undefined || values.length === 0) return undefined;
  const yes = values.includes("1") || values.includes("true");
  const no = values.includes("0") || values.includes("false");
  if (yes === no) throw new EngineError("InvalidParameter", `invalid filter '${key}=[${values.join(" ")}]'`);
  return yes;
}
