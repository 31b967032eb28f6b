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
