// What system this is, from os-release. Source: os-release(5).

import { readFileSync } from "node:fs";

/** Pure. Values may be bare or in single or double quotes, with backslash escapes in the latter. */
export function parseOsRelease(text: string): ReadonlyMap<string, string> {
  const values = new Map<string, string>();
  for (const line of text.split("\n")) {
    const m = /^\s*([A-Z0-9_]+)=(?:"((?:[^"\\]|\\.)*)"|'([^']*)'|(\S*))\s*$/.exec(line);
    if (m?.[1] === undefined) continue;
    values.set(m[1], m[2]?.replaceAll(/\\(.)/g, "$1") ?? m[3] ?? m[4] ?? "");
  }
  return values;
}

/** The name for people and the version, as /info shows them. */
export function readOperatingSystem(): { readonly name: string; readonly version: string } {
  for (const path of ["/etc/os-release", "/usr/lib/os-release"]) {
    try {
      const values = parseOsRelease(readFileSync(path, "utf8"));
      return { name: values.get("PRETTY_NAME") ?? "Linux", version: values.get("VERSION_ID") ?? "" };
    } catch {
      // The other place, then.
    }
  }
  return { name: "Linux", version: "" };
}
