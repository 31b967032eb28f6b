// The shape of a directive: something that gantryd can be told, as a flag, and as a key of the configuration file where it has one.

import type { FlagSpec } from "../../base/flags.ts";

/** Type of a directive's value in the configuration file. */
export type DirectiveType =
  | "bool"
  | "int"
  | "string"
  | "size"
  | "strings"
  | "map"
  | "maps"
  | "ulimits"
  | "runtimes"
  | "proxies"
  | "pools"
  | "builder";

export interface Directive {
  readonly flag: FlagSpec;
  /** Key in the configuration file; undefined where only the command line can say it. */
  readonly key: string | undefined;
  readonly type: DirectiveType;
  /** May hold a password: never shown as it is. */
  readonly secret?: true;
  /** A SIGHUP applies a new value; others wait for the next start. */
  readonly reloads?: true;
}

/** Splits at the first separator; the second part is undefined without one. */
export function splitOnce(text: string, separator: string): readonly [string, string | undefined] {
  const at = text.indexOf(separator);
  return at < 0 ? [text, undefined] : [text.slice(0, at), text.slice(at + separator.length)];
}
