// Lists, a page at a time: tags, repositories, referrers.
// Source: OCI Distribution 1.1, "Listing tags", "Listing referrers"; Docker Registry HTTP API V2, "Catalog".

import { RegistryError } from "../errors.ts";
import type { Exchange } from "../http/exchange.ts";
import { compareTags } from "../mirror/index.ts";
import { parseBlobDigest } from "../names.ts";
import type { Service } from "./service.ts";

const maxTags = 10_000;
const maxRepositories = 1000;
const maxReferrers = 1000;
const maxPageBytes = 3 << 20;
const maxLast = 512;

interface Page {
  readonly size: number;
  readonly last: string;
}

/** @throws PAGINATION_NUMBER_INVALID `n` is no number, or negative */
function parsePage(query: URLSearchParams, defaultSize: number, maxSize: number): Page {
  const n = query.get("n");
  if (n !== null && !/^\d+$/.test(n))
    throw new RegistryError("PAGINATION_NUMBER_INVALID", "n is not a number of entries", {
      detail: { n: n.slice(0, 100) },
    });
  return {
    size: n === null ? defaultSize : Math.min(Number(n), maxSize),
    last: (query.get("last") ?? "").slice(0, maxLast),
  };
}

/** The Link header to what comes after `last`. */
function link(path: string, parameters: Readonly<Record<string, string>>): Record<string, string> {
  return { Link: `<${path}?${new URLSearchParams(parameters).toString()}>; rel="next"` };
}

/** The page of `items`, which were asked for with one more than the page has. */
function cut(
  items: readonly string[],
  page: Page,
  path: string,
): { items: readonly string[]; headers: Record<string, string> } {
  const shown = items.slice(0, page.size);
  const last = shown.at(-1);
  const more = items.length > page.size && last !== undefined;
  return { items: shown, headers: more ? link(path, { n: String(page.size), last }) : {} };
}

/** GET /v2/<name>/tags/list */
export async function listTags(service: Service, exchange: Exchange, repository: string): Promise<void> {
  const page = parsePage(exchange.query, maxTags, maxTags);
  const { records } = service.storage;
  const upstream = await service.mirror?.tags(repository, exchange.signal);
  const id = records.repositoryId(repository);
  if (id === undefined && upstream === undefined)
    throw new RegistryError("NAME_UNKNOWN", "repository name not known to registry", { detail: { name: repository } });
  const found =
    upstream?.filter((tag) => compareTags(tag, page.last) > 0).slice(0, page.size + 1) ??
    records.tags(id ?? 0, page.last, page.size + 1);
  const { headers, items } = cut(found, page, exchange.path);
  exchange.sendJson(200, { name: repository, tags: items }, headers);
}

/** GET /v2/_catalog */
export function listRepositories(service: Service, exchange: Exchange): void {
  const page = parsePage(exchange.query, 100, maxRepositories);
  const { headers, items } = cut(service.storage.records.repositories(page.last, page.size + 1), page, exchange.path);
  exchange.sendJson(200, { repositories: items }, headers);
}

/** GET /v2/<name>/referrers/<digest> */
export function listReferrers(service: Service, exchange: Exchange, repository: string, text: string): void {
  const subject = parseBlobDigest(text);
  if (service.mirror !== undefined)
    throw new RegistryError("UNSUPPORTED", "a cache does not know what refers to a manifest", { status: 404 });
  const artifactType = exchange.query.get("artifactType") ?? undefined;
  const page = parsePage(exchange.query, maxReferrers, maxReferrers);
  const found = service.storage.records.referrers(repository, subject, artifactType, page.last, page.size + 1);
  const shown: string[] = [];
  let bytes = 0;
  for (const { descriptor } of found.slice(0, page.size)) {
    bytes += Buffer.byteLength(descriptor) + 1;
    if (shown.length > 0 && bytes > maxPageBytes) break;
    shown.push(descriptor);
  }
  const last = found[shown.length - 1]?.digest;
  const filter: Record<string, string> = artifactType === undefined ? {} : { artifactType };
  const more = shown.length < found.length && last !== undefined;
  const type = "application/vnd.oci.image.index.v1+json";
  exchange.send(200, `{"schemaVersion":2,"mediaType":"${type}","manifests":[${shown.join(",")}]}\n`, {
    "Content-Type": type,
    ...(artifactType === undefined ? {} : { "OCI-Filters-Applied": "artifactType" }),
    ...(more ? link(exchange.path, { n: String(page.size), last, ...filter }) : {}),
  });
}
