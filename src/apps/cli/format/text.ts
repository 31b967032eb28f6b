// Small pieces of text that lists share.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { CommandContext } from "../command.ts";

/** Twelve digits of an id, without "sha256:". */
export function truncateId(id: string): string {
  return id.replace(/^[a-z0-9]+:/, "").slice(0, 12);
}

/** At most `length` characters, the last one an ellipsis where something is missing. */
export function ellipsis(text: string, length: number): string {
  const characters = Array.from(text);
  return characters.length <= length ? text : `${characters.slice(0, length - 1).join("")}…`;
}

/* oxlint-disable no-control-regex */
/** Go's strconv.Quote. */
export function quoteGo(text: string): string {
  const named: Readonly<Record<string, string>> = {
    "\x07": "\\a",
    "\b": "\\b",
    "\f": "\\f",
    "\n": "\\n",
    "\r": "\\r",
    "\t": "\\t",
    "\v": "\\v",
    '"': '\\"',
    "\\": "\\\\",
  };
  const escaped = text.replace(/["\\\u0000-\u001f\u007f-\u00a0\u00ad\u2028\u2029\u202a-\u202e\u2066-\u2069]/g, (c) => {
    const code = c.charCodeAt(0);
    return (
      named[c] ?? (code < 128 ? `\\x${code.toString(16).padStart(2, "0")}` : `\\u${code.toString(16).padStart(4, "0")}`)
    );
  });
  return `"${escaped}"`;
}

/** The --format of a list: the flag, or the configuration file's default (psFormat, imagesFormat, …). */
export function formatOf(context: CommandContext, flag: string, configKey: string): string {
  if (flag !== "") return flag;
  try {
    const config: unknown = JSON.parse(readFileSync(join(context.configDir, "config.json"), "utf8"));
    if (typeof config !== "object" || config === null) return "";
    const value = (config as Record<string, unknown>)[configKey];
    return typeof value === "string" ? value : "";
  } catch {
    return "";
  }
}
