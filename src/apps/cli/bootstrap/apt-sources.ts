// The APT sources of this machine: both forms of files, parsed to what a bootstrap needs of them.
// Source: sources.list(5) (one-line and deb822 style), apt 2.6.

import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

/** Where packages come from: one URI and suite. */
export interface AptSource {
  /** Without a slash at the end. */
  readonly uri: string;
  readonly suite: string;
  readonly components: readonly string[];
  /** Path or fingerprint of `signed-by`; "" for the trusted keys of the machine. */
  readonly signedBy: string;
  /** `trusted=yes`: signatures are not looked at. */
  readonly trusted: boolean;
}

const isYes = (text: string | undefined): boolean => /^(?:yes|true|with|on|enable)$/i.test(text ?? "");

/** The lines "deb [options] uri suite components" of a .list file; anything else is left out. */
export function parseListFile(text: string): readonly AptSource[] {
  const sources: AptSource[] = [];
  for (const line of text.split("\n")) {
    const m = /^\s*deb\s+(?:\[([^\]]*)\]\s+)?(\S+)\s+(\S+)((?:\s+[^#\s]\S*)*)\s*(?:#.*)?$/.exec(line);
    if (m === null) continue;
    const options = new Map((m[1] ?? "").split(/\s+/).map((text) => text.split("=") as [string, string | undefined]));
    sources.push({
      uri: (m[2] ?? "").replace(/\/+$/, ""),
      suite: m[3] ?? "",
      components: (m[4] ?? "").split(/\s+/).filter((word) => word !== ""),
      signedBy: options.get("signed-by") ?? "",
      trusted: isYes(options.get("trusted")),
    });
  }
  return sources;
}

/** The fields of a deb822 paragraph; continued lines are joined with newlines. */
function fieldsOf(paragraph: string): ReadonlyMap<string, string> {
  const fields = new Map<string, string>();
  let name = "";
  for (const line of paragraph.split("\n")) {
    if (line.startsWith("#")) continue;
    const m = /^([A-Za-z0-9-]+):\s*(.*)$/.exec(line);
    if (m !== null) fields.set((name = (m[1] ?? "").toLowerCase()), (m[2] ?? "").trim());
    else if (/^\s/.test(line) && name !== "") fields.set(name, `${fields.get(name) ?? ""}\n${line.trim()}`.trim());
  }
  return fields;
}

/** A .sources file; paragraphs that are off, or for source packages only, are left out. Keys within the file are not taken. */
export function parseSourcesFile(text: string): readonly AptSource[] {
  const words = (value: string | undefined): readonly string[] => (value ?? "").split(/\s+/).filter((w) => w !== "");
  return text.split(/\n\s*\n/).flatMap((paragraph) => {
    const fields = fieldsOf(paragraph);
    const enabled = fields.get("enabled");
    if (!words(fields.get("types")).includes("deb") || (enabled !== undefined && !isYes(enabled))) return [];
    const signedBy = fields.get("signed-by") ?? "";
    return words(fields.get("uris")).flatMap((uri) =>
      words(fields.get("suites")).map((suite) => ({
        uri: uri.replace(/\/+$/, ""),
        suite,
        components: words(fields.get("components")),
        signedBy: signedBy.includes("\n") ? "" : signedBy,
        trusted: isYes(fields.get("trusted")),
      })),
    );
  });
}

/** All sources of `directory` (/etc/apt), in APT's order; files that cannot be read are left out. */
export function readAptSources(directory: string): readonly AptSource[] {
  const read = (path: string): string => {
    try {
      return readFileSync(path, "utf8");
    } catch {
      return "";
    }
  };
  let names: string[] = [];
  try {
    names = readdirSync(join(directory, "sources.list.d")).sort();
  } catch {
    // No such directory: the one file is all there is.
  }
  return [
    ...parseListFile(read(join(directory, "sources.list"))),
    ...names.flatMap((name) => {
      const text =
        name.endsWith(".list") || name.endsWith(".sources") ? read(join(directory, "sources.list.d", name)) : "";
      return name.endsWith(".sources") ? parseSourcesFile(text) : parseListFile(text);
    }),
  ];
}
