// What nft lists, cut into its sets and chains, and compared with what was written. How nft words a rule is its own affair (and changes
// from version to version): a chain is taken as written when its rules carry our comments in our order, and must then stay word for word.

import type { Plan } from "./render.ts";

/** "inet into_0123456789ab" → the text of a set, map or chain. */
export type Listing = ReadonlyMap<string, string>;

/** Of `nft list table`, one table after the other. */
export function parseListing(text: string): Listing {
  const parts = new Map<string, string>();
  let family = "";
  let part: { readonly name: string; readonly lines: string[] } | undefined;
  for (const line of text.split("\n")) {
    const table = /^table (\S+) gantry \{/.exec(line);
    const begin = /^\t(?:set|map|chain) (\S+) \{/.exec(line);
    if (table !== null) family = table[1] ?? "";
    else if (begin !== null) part = { name: `${family} ${begin[1]}`, lines: [] };
    else if (line === "\t}" && part !== undefined) {
      parts.set(part.name, part.lines.join("\n"));
      part = undefined;
    } else if (part !== undefined) part.lines.push(line.trim());
    else if (line !== "" && line !== "}") parts.set(`${family} ${line.trim()}`, line);
  }
  return parts;
}

/** Elements of each set and map of a listing. */
export function parseElements(listing: Listing): ReadonlyMap<string, ReadonlySet<string>> {
  const elements = new Map<string, ReadonlySet<string>>();
  for (const [name, text] of listing) {
    const found = /elements = \{ ([^}]*) \}/.exec(text);
    if (found !== null) elements.set(name, new Set((found[1] ?? "").split(/,\s+/).map((each) => each.trim())));
  }
  return elements;
}

/** What of the tables was written: name → comments in order; undefined for a set or map. */
export type Written = ReadonlyMap<string, readonly string[] | undefined>;

export function writtenParts({ tables }: Pick<Plan, "tables">): Written {
  return new Map(
    tables.flatMap(({ family, sets, chains }) => [
      ...Object.keys(sets).map((name) => [`${family} ${name}`, undefined] as const),
      ...chains.map(({ name, rules }) => [`${family} ${name}`, rules.map(({ comment }) => comment)] as const),
    ]),
  );
}

/** Comments of a chain's rules, in order; a rule without one is "". */
function commentsOf(text: string): readonly string[] {
  return text
    .split("\n")
    .filter((line) => line !== "" && !/^type \S+ hook /.test(line))
    .map((line) => / comment "([^"]*)"$/.exec(line)?.[1] ?? "");
}

function isAsWritten(text: string, comments: readonly string[] | undefined): boolean {
  if (comments === undefined) return !/\bchain\b/.test(text);
  const found = commentsOf(text);
  return found.length === comments.length && found.every((comment, index) => comment === comments[index]);
}

/**
 * What of a terse listing is not as it was written; empty when all is.
 *
 * @param seen the words of parts that were found as written; those that are found now are added to it
 */
export function compareListing(listing: Listing, written: Written, seen: Map<string, string>): readonly string[] {
  const complaints: string[] = [];
  for (const [name, comments] of written) {
    const text = listing.get(name);
    if (text === undefined) complaints.push(`${name} is missing`);
    else if (seen.has(name) ? seen.get(name) !== text : !isAsWritten(text, comments))
      complaints.push(`${name} was changed`);
    else seen.set(name, text);
  }
  for (const name of listing.keys()) if (!written.has(name)) complaints.push(`${name} is not ours`);
  return complaints;
}

/** Elements that are missing, and elements that belong to nothing. */
export function compareElements(found: Plan["elements"], wanted: Plan["elements"]): readonly string[] {
  const complaints: string[] = [];
  for (const [set, elements] of wanted)
    for (const element of elements)
      if (found.get(set)?.has(element) !== true) complaints.push(`${set}: { ${element} } is missing`);
  for (const [set, elements] of found)
    for (const element of elements)
      if (wanted.get(set)?.has(element) !== true) complaints.push(`${set}: { ${element} } belongs to nothing`);
  return complaints;
}

/** Base chains of others that drop by policy where containers' packets pass: they stay a drop, whatever ours accept. */
export function parseForeignDrops(chains: string): readonly string[] {
  const advice: string[] = [];
  let table = "";
  let chain = "";
  for (const line of chains.split("\n")) {
    table = /^table (\S+ \S+) \{/.exec(line)?.[1] ?? table;
    chain = /^\tchain (\S+) \{/.exec(line)?.[1] ?? chain;
    if (!/hook forward\b.*policy drop;/.test(line) || /^(inet|bridge) gantry$/.test(table)) continue;
    advice.push(
      `the host's own table ${table} (chain ${chain}) drops forwarded packets unless a rule of it accepts them: allow those from and to the containers' bridges there`,
    );
  }
  return advice;
}
