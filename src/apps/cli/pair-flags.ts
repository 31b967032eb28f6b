// Flags that take several values in one: comma-separated lists (pflag's StringSlice), and key=value pairs. Source: the docker CLI 28.

import type { Flags, FlagSpec } from "../../base/flags.ts";
import { parseCsvRecord } from "./create-request/csv.ts";

/** A flag whose values are records of comma-separated values, appended to each other. */
export function listFlag(name: string, usage: string): FlagSpec {
  return {
    name,
    kind: "strings",
    valueName: "strings",
    usage,
    complain(value) {
      if (value === "") return undefined;
      try {
        parseCsvRecord(value);
        return undefined;
      } catch (error) {
        return error instanceof Error ? error.message : String(error);
      }
    },
  };
}

/** The values of a `listFlag`. */
export function listOf(flags: Flags, name: string): readonly string[] {
  return flags.strings(name).flatMap((text) => (text === "" ? [] : parseCsvRecord(text)));
}

/** Texts as an object: "a=b" and "a", whose value is "". The last one of a key wins. */
export function pairsOf(texts: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    texts.map((text) => {
      const at = text.indexOf("=");
      return at < 0 ? [text, ""] : [text.slice(0, at), text.slice(at + 1)];
    }),
  );
}
