// Redirects, followed by hand: at most ten, to http and https alone, from https to http only where the registry is insecure,
// from a public registry never to a local address, and without credentials as soon as the origin differs.
// Source: RFC 9110 section 15.4; threat T07.

import { bareHost, isLinkLocalText, localRefusal } from "./address.ts";
import { discard } from "./body.ts";
import { refused } from "./errors.ts";
import { type Answer, type Call, headerOf, type Transport, type Trust } from "./transport.ts";

const maxRedirects = 10;
const redirects = new Set([301, 302, 303, 307, 308]);

/** Whom a host that a registry names is trusted to be. */
export type TrustOf = (url: URL) => Trust;

/**
 * The URL that a Location names.
 *
 * @param insecure plain http may follow https
 * @throws InvalidParameter none, or one that is not followed
 */
export function parseLocation(location: string, from: URL, insecure: boolean): URL {
  if (location === "" || !URL.canParse(location, from)) throw refused(`${from.host} answered without a valid Location`);
  const to = new URL(location, from);
  if (to.protocol !== "http:" && to.protocol !== "https:")
    throw refused(`refused to follow ${from.host} to ${to.protocol}//: only http and https are`);
  if (from.protocol === "https:" && to.protocol === "http:" && !insecure)
    throw refused(`refused to follow ${from.host} from https to http`);
  if (to.host !== from.host && isLinkLocalText(bareHost(to))) throw localRefusal(bareHost(to));
  to.username = "";
  to.password = "";
  to.hash = "";
  return to;
}

/** The headers that may go on to another origin. */
export function withoutCredentials(headers: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  return Object.fromEntries(
    Object.entries(headers).filter(([name]) => !["authorization", "cookie", "host"].includes(name.toLowerCase())),
  );
}

/**
 * Sends a call, and again to wherever the answer points. The method stays: only GET and HEAD are redirected by 301, 302 and
 * 303; bodies that are bytes follow 307 and 308; streams do not.
 *
 * @throws InvalidParameter a redirect that is not followed
 */
export async function sendFollowing(
  transport: Transport,
  first: Call,
  insecure: boolean,
  trustOf: TrustOf,
): Promise<Answer> {
  let call = first;
  let startedLocal: boolean | undefined;
  for (let count = 0; ; count++) {
    const answer = await transport.send(call);
    startedLocal ??= answer.isLocal;
    if (!redirects.has(answer.status) || headerOf(answer, "location") === "") return answer;
    const reads = call.method === "GET" || call.method === "HEAD";
    const resendable = call.body === undefined || call.body instanceof Uint8Array;
    if (!reads && !(resendable && answer.status >= 307)) return answer;
    discard(answer);
    if (count === maxRedirects) throw refused(`stopped after ${maxRedirects} redirects from ${first.url.host}`);
    const url = parseLocation(headerOf(answer, "location"), call.url, insecure);
    const sameOrigin = url.origin === call.url.origin;
    call = {
      ...call,
      url,
      headers: sameOrigin ? call.headers : withoutCredentials(call.headers),
      trust: sameOrigin ? call.trust : trustOf(url),
      publicOnly: first.publicOnly || !startedLocal,
    };
  }
}
