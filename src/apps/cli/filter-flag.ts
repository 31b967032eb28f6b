// --filter key=value, repeatable.

import type { Flags, FlagSpec } from "../../base/flags.ts";

/** The flag, with or without its letter. */
export function filterFlag(usage: string, short?: string): FlagSpec {
  return {
    name: "filter",
    ...(short === undefined ? {} : { short }),
    kind: "strings",
    valueName: "filter",
    usage,
    complain: (value) =>
      value !== "" && !value.includes("=") ? "bad format of filter (expected name=value)" : undefined,
  };
}

/** Key → values; keys are trimmed and in lower case. */
export function filtersOf(flags: Flags): Map<string, string[]> {
  const filters = new Map<string, string[]>();
  for (const text of flags.strings("filter")) {
    if (text === "") continue;
    const at = text.indexOf("=");
    const key = text.slice(0, at).trim().toLowerCase();
    filters.set(key, [...(filters.get(key) ?? []), text.slice(at + 1).trim()]);
  }
  return filters;
}
