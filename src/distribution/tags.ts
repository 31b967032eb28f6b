// The tags of a repository, page by page. Source: OCI distribution-spec 1.1, "Listing Tags"; RFC 8288 for Link.

import { EngineError } from "../base/errors.ts";
import { type Named, withTag } from "../base/reference.ts";
import { maxDocumentBytes, parseArray, parseJson, parseObject, parseString } from "../spec/parse-json.ts";
import { readWhole } from "./body.ts";
import { refused } from "./errors.ts";
import { parseLocation } from "./redirect.ts";
import type { Session } from "./session.ts";
import { headerOf } from "./transport.ts";

const pageSize = 1000;
const maxPageTags = 10_000;
/** All tags of all pages; a caller that wants fewer stops. */
export const maxTags = 1_000_000;

export interface TagPage {
  readonly tags: readonly string[];
  readonly next: URL | undefined;
}

/** The target of the link with rel="next"; undefined for none. */
export function parseNextLink(header: string): string | undefined {
  for (const match of header.slice(0, 8192).matchAll(/<([^<>]*)>((?:\s*;[^,<>]*)*)/g))
    if (/;\s*rel\s*=\s*(?:"(?:[^"]*\s)?next(?:\s[^"]*)?"|next\b)/i.test(match[2] ?? "")) return match[1];
  return undefined;
}

function parseTag(value: unknown, named: Named): string {
  const tag = parseString(value, "list of tags");
  try {
    withTag(named, tag);
  } catch (cause) {
    throw new EngineError("InvalidParameter", `invalid list of tags: ${JSON.stringify(tag.slice(0, 140))}`, { cause });
  }
  return tag;
}

/**
 * One page.
 *
 * @param target where the page before said that this one is; undefined for the first
 */
export async function fetchTagPage(
  session: Session,
  named: Named,
  target: URL | undefined,
  scopes: readonly string[],
  signal: AbortSignal,
): Promise<TagPage> {
  const first = `${named.path}/tags/list?n=${pageSize}`;
  const answer = await session.expect([200], { method: "GET", target: target ?? first, scopes }, signal);
  const document = parseObject(
    parseJson(await readWhole(answer, maxDocumentBytes, session.stallMs), "list of tags"),
    "list of tags",
  );
  const listed = document["tags"] ?? [];
  const tags = parseArray(listed, "list of tags").map((tag) => parseTag(tag, named));
  if (tags.length > maxPageTags) throw refused(`invalid list of tags: more than ${maxPageTags} on a page`);
  const link = parseNextLink(headerOf(answer, "link"));
  const next = link === undefined ? undefined : parseLocation(link, answer.call.url, session.endpoint.insecure);
  if (next !== undefined && next.origin !== session.endpoint.url.origin)
    throw refused("invalid list of tags: its next page is on another host");
  return { tags, next };
}
