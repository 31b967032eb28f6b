// Flags of instructions: `--name=value`. A flag that is not known, given twice or badly is an error; none is ever skipped.

import { withSuggestion } from "./suggest.ts";

/** text: one value; texts: may be given several times; bool: with or without =true. */
export type FlagKinds = Readonly<Record<string, "text" | "texts" | "bool">>;

export interface Flags {
  text(name: string): string | undefined;
  texts(name: string): readonly string[];
  /** undefined where it was not given. */
  bool(name: string): boolean | undefined;
}

/** @param fail throws an error of the instruction with that message */
export function parseFlags(words: readonly string[], kinds: FlagKinds, fail: (message: string) => never): Flags {
  const values = new Map<string, string[]>();
  for (const word of words) {
    const cut = word.indexOf("=");
    const name = word.slice(2, cut < 0 ? undefined : cut);
    const value = cut < 0 ? undefined : word.slice(cut + 1);
    const kind = Object.hasOwn(kinds, name) ? kinds[name] : undefined;
    if (kind === undefined) fail(withSuggestion(`unknown flag: --${name}`, name, Object.keys(kinds)));
    const given = values.get(name) ?? [];
    if (given.length > 0 && kind !== "texts") fail(`duplicate flag specified: --${name}`);
    if (kind === "bool") {
      const lower = value?.toLowerCase() ?? "true";
      if (lower === "") fail(`missing a value on flag: --${name}`);
      if (lower !== "true" && lower !== "false")
        fail(`expecting boolean value for flag --${name}, not: ${value ?? ""}`);
      given.push(lower);
    } else given.push(value ?? fail(`missing a value on flag: --${name}`));
    values.set(name, given);
  }
  return {
    text: (name) => values.get(name)?.[0],
    texts: (name) => values.get(name) ?? [],
    bool(name) {
      const value = values.get(name)?.[0];
      return value === undefined ? undefined : value === "true";
    },
  };
}
