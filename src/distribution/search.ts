// Search, the one thing that is left of the first registry API: GET /v1/search of the registry in the term.
// Source: Docker Registry API v1, "Search"; Engine API 1.51, GET /images/search.

import { EngineError, isEngineError } from "../base/errors.ts";
import { optional, parseArray, parseJson, parseObject, parseString } from "../spec/parse-json.ts";
import { discard, readWhole } from "./body.ts";
import { isOfficial, planEndpoints } from "./endpoint.ts";
import { RegistryError } from "./errors.ts";
import type { Credentials, SearchResult } from "./index.ts";
import { Session, type SessionDeps } from "./session.ts";

const officialIndex = new URL("https://index.docker.io");
const maxAnswerBytes = 4 << 20;
const defaultLimit = 25;

/** The registry in a term, and what is looked for there. @throws InvalidParameter */
export function splitTerm(term: string): { readonly domain: string; readonly query: string } {
  if (term.includes("://"))
    throw new EngineError(
      "InvalidParameter",
      `invalid repository name: repository name (${term}) should not have a scheme`,
    );
  const slash = term.indexOf("/");
  const first = slash < 0 ? "" : term.slice(0, slash);
  const isDomain = /[.:]/.test(first) || first === "localhost";
  const domain = isDomain ? first : "docker.io";
  if (isDomain && !/^(?:[A-Za-z0-9.-]+|\[[0-9A-Fa-f:]+\])(?::\d{1,5})?$/.test(domain))
    throw new EngineError("InvalidParameter", `invalid index name (${domain})`);
  const query = isDomain ? term.slice(slash + 1) : term;
  if (!isOfficial(domain)) return { domain, query };
  return { domain: "docker.io", query: query.startsWith("library/") ? query.slice("library/".length) : query };
}

function parseResult(value: unknown): SearchResult {
  const object = parseObject(value, "search result");
  const text = (key: string): string => optional(object[key], `search result.${key}`, parseString) ?? "";
  const stars = object["star_count"];
  return {
    name: text("name"),
    description: text("description"),
    star_count: typeof stars === "number" && Number.isSafeInteger(stars) ? stars : 0,
    is_official: object["is_official"] === true,
    is_automated: object["is_automated"] === true,
  };
}

/** As Distribution.search. */
export async function search(
  deps: SessionDeps,
  term: string,
  limit: number,
  credentials: Credentials | undefined,
  signal: AbortSignal,
): Promise<readonly SearchResult[]> {
  const count = limit === 0 ? defaultLimit : limit;
  if (count < 1 || count > 100)
    throw new EngineError("InvalidParameter", `limit ${limit} is outside the range of [1, 100]`);
  const { domain, query } = splitTerm(term);
  const endpoints = isOfficial(domain)
    ? [{ url: officialIndex, isMirror: false, insecure: false }]
    : await planEndpoints(domain, "push", deps.config);
  const failures: RegistryError[] = [];
  for (const endpoint of endpoints) {
    const session = new Session(deps, { endpoint, credentials, offline: false });
    const url = new URL(`/v1/search?q=${encodeURIComponent(query)}&n=${count}`, endpoint.url);
    try {
      return await searchAt(session, url, count, signal);
    } catch (error) {
      // Only an endpoint that was not reached is followed by the next.
      const unreached = error instanceof RegistryError && error.kind === "Unavailable" && error.status === undefined;
      if (!unreached || isEngineError(error, "Cancelled")) throw error;
      failures.push(error);
    }
  }
  throw isOfficial(domain) ? failures[0] : unreachable(domain, failures);
}

async function searchAt(
  session: Session,
  url: URL,
  count: number,
  signal: AbortSignal,
): Promise<readonly SearchResult[]> {
  const answer = await session.requestPlain({ method: "GET", target: url, scopes: [] }, signal);
  if (answer.status !== 200) {
    discard(answer);
    throw new RegistryError("Unavailable", `Unexpected status code ${answer.status}`, { status: answer.status });
  }
  const bytes = await readWhole(answer, maxAnswerBytes, session.stallMs);
  const document = parseObject(parseJson(bytes, "search results"), "search results");
  return parseArray(document["results"] ?? [], "search results")
    .slice(0, count)
    .map(parseResult);
}

/** dockerd's words for a registry that is not there. */
function unreachable(domain: string, failures: readonly RegistryError[]): RegistryError {
  const [https, http] = failures.map(({ message }) => message);
  const message =
    http === undefined
      ? `invalid registry endpoint https://${domain}/v1/: ${https}. If this private registry supports only HTTP or HTTPS with an unknown CA certificate, add \`--insecure-registry ${domain}\` to the daemon's arguments, or place the CA certificate at /etc/docker/certs.d/${domain}/ca.crt`
      : `invalid registry endpoint "http://${domain}/v1/". HTTPS attempt: ${https}. HTTP attempt: ${http}`;
  return new RegistryError("InvalidParameter", message, { cause: failures.at(-1) });
}
