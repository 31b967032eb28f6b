// Bearer tokens from a registry's token service: GET with Basic credentials, or an OAuth2 POST with a refresh token.
// The realm is where the registry says, so it is a stranger's word: https unless the registry is insecure, never from a public
// registry to a local address, and a POST, which carries the secret in its body, is never redirected.
// Source: distribution/distribution docs, "Token Authentication Specification" and "OAuth2 Token Authentication".

import { EngineError } from "../base/errors.ts";
import { parseJson } from "../spec/parse-json.ts";
import { bareHost, isLinkLocalText, localRefusal } from "./address.ts";
import { readErrorBody, readWhole } from "./body.ts";
import { errorOfAnswer, refused, RegistryError } from "./errors.ts";
import type { Credentials } from "./index.ts";
import { sendFollowing, type TrustOf } from "./redirect.ts";
import type { Call, Transport } from "./transport.ts";

export interface Token {
  readonly value: string;
  /** On performance.now()'s clock. */
  readonly expiresAtMs: number;
  /** For credentials of the client's next calls; "" when none was given. */
  readonly refreshToken: string;
}

/** Where tokens are, as a Bearer challenge has it. */
export interface TokenService {
  readonly realm: URL;
  readonly service: string;
}

export interface TokenRequest {
  readonly service: TokenService;
  readonly scopes: readonly string[];
  readonly credentials: Credentials | undefined;
  /** Asks for a refresh token as well. */
  readonly offline: boolean;
  readonly insecure: boolean;
  readonly trustOf: TrustOf;
  readonly base: Pick<Call, "proxies" | "publicOnly" | "timeoutMs" | "signal"> & { readonly userAgent: string };
}

const maxTokenBytes = 1 << 20;
const defaultLifetimeSeconds = 60;
const maxLifetimeSeconds = 24 * 60 * 60;
const clientId = "docker";

/**
 * The realm of a challenge.
 *
 * @throws InvalidParameter no URL, or one that credentials are not sent to
 */
export function parseRealm(realm: string, registry: URL, insecure: boolean): URL {
  if (!URL.canParse(realm))
    throw refused(`${registry.host}: invalid token realm ${JSON.stringify(realm.slice(0, 200))}`);
  const url = new URL(realm);
  const allowed =
    url.protocol === "https:" || (url.protocol === "http:" && (insecure || registry.protocol === "http:"));
  if (!allowed)
    throw refused(`${registry.host}: refused to ask for a token at ${url.protocol}//${url.host}: https is needed`);
  if (url.host !== registry.host && isLinkLocalText(bareHost(url))) throw localRefusal(bareHost(url));
  url.username = "";
  url.password = "";
  url.hash = "";
  return url;
}

function basic(credentials: Credentials): string {
  return `Basic ${Buffer.from(`${credentials.username}:${credentials.password}`).toString("base64")}`;
}

/** Authorization of a user and password; undefined without both. */
export function basicAuthorization(credentials: Credentials | undefined): string | undefined {
  if (credentials === undefined || credentials.username === "" || credentials.password === "") return undefined;
  return basic(credentials);
}

function planGet(request: TokenRequest): Pick<Call, "method" | "url" | "headers"> {
  const { service, scopes, credentials, offline, base } = request;
  const url = new URL(service.realm);
  const authorization = basicAuthorization(credentials);
  if (authorization !== undefined && credentials !== undefined) url.searchParams.set("account", credentials.username);
  if (offline) url.searchParams.set("client_id", clientId);
  if (offline) url.searchParams.set("offline_token", "true");
  for (const scope of scopes) url.searchParams.append("scope", scope);
  if (service.service !== "") url.searchParams.set("service", service.service);
  return {
    method: "GET",
    url,
    headers: { "user-agent": base.userAgent, ...(authorization === undefined ? {} : { authorization }) },
  };
}

function planPost(request: TokenRequest, refreshToken: string): Pick<Call, "method" | "url" | "headers" | "body"> {
  const form = new URLSearchParams({
    grant_type: "refresh_token",
    refresh_token: refreshToken,
    service: request.service.service,
    client_id: clientId,
  });
  if (request.scopes.length > 0) form.set("scope", request.scopes.join(" "));
  return {
    method: "POST",
    url: request.service.realm,
    headers: { "user-agent": request.base.userAgent, "content-type": "application/x-www-form-urlencoded" },
    body: Buffer.from(form.toString()),
  };
}

function field(document: Readonly<Record<string, unknown>>, name: string): string {
  const value = document[name];
  return typeof value === "string" && /^[\x21-\x7e]*$/.test(value) ? value : "";
}

/** @throws InvalidParameter no token in it */
export function parseToken(bytes: Uint8Array, realm: URL): Token {
  const value = parseJson(bytes, `answer of the token service ${realm.host}`);
  const document = typeof value === "object" && value !== null ? (value as Readonly<Record<string, unknown>>) : {};
  const token = field(document, "token") || field(document, "access_token");
  if (token === "") throw refused("authorization server did not include a token in the response");
  const asked = document["expires_in"];
  const lifetime =
    typeof asked === "number" && asked > 0 ? Math.min(asked, maxLifetimeSeconds) : defaultLifetimeSeconds;
  // A request that is under way when the token ends has a tenth of its life, at most ten seconds, to arrive.
  const slack = Math.min(10, lifetime / 10);
  return {
    value: token,
    expiresAtMs: performance.now() + (lifetime - slack) * 1000,
    refreshToken: field(document, "refresh_token"),
  };
}

async function send(
  transport: Transport,
  request: TokenRequest,
  planned: Pick<Call, "method" | "url" | "headers" | "body">,
): Promise<Token> {
  const { proxies, publicOnly, timeoutMs, signal } = request.base;
  const call: Call = { ...planned, trust: request.trustOf(planned.url), proxies, publicOnly, timeoutMs, signal };
  const answer =
    call.method === "POST"
      ? await transport.send(call)
      : await sendFollowing(transport, call, request.insecure, request.trustOf);
  if (answer.status !== 200) throw errorOfAnswer({ ...answer, body: await readErrorBody(answer, timeoutMs) });
  return parseToken(await readWhole(answer, maxTokenBytes, timeoutMs), request.service.realm);
}

/**
 * Asks for a token. With a refresh token by POST, and by GET where the service knows no POST and there is a password.
 *
 * @throws Unauthorized     the service's own words
 * @throws Unavailable      not reached
 * @throws InvalidParameter the answer is none
 */
export async function fetchToken(transport: Transport, request: TokenRequest): Promise<Token> {
  const refreshToken = request.credentials?.identityToken ?? "";
  if (refreshToken === "") return await send(transport, request, planGet(request));
  try {
    return await send(transport, request, planPost(request, refreshToken));
  } catch (error) {
    const unknown = error instanceof RegistryError && (error.status === 404 || error.status === 405);
    if (!unknown || basicAuthorization(request.credentials) === undefined) throw error;
    return await send(transport, request, planGet(request));
  }
}

/** Tokens by realm, service, scopes and credentials, shared by all requests that need the same; renewed when they end. */
export class TokenCache {
  readonly #tokens = new Map<string, { readonly pending: Promise<Token>; expiresAtMs: number }>();
  readonly #transport: Transport;
  readonly #maxTokens = 1024;

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  /**
   * @param stale a token that was refused: not given again
   * @throws as fetchToken
   */
  async get(request: TokenRequest, identity: string, stale: string | undefined): Promise<Token> {
    const { realm, service } = request.service;
    const key = JSON.stringify([realm.href, service, request.scopes.toSorted(), identity, request.offline]);
    const known = this.#tokens.get(key);
    if (known !== undefined && performance.now() < known.expiresAtMs) {
      try {
        const token = await known.pending;
        if (token.value !== stale) return token;
      } catch (error) {
        // Another request's wish to end is not ours; every other failure is shared.
        if (!(error instanceof EngineError && error.kind === "Cancelled") || request.base.signal.aborted) throw error;
      }
      if (this.#tokens.get(key) !== known) return await this.get(request, identity, stale);
    }
    const entry = { pending: fetchToken(this.#transport, request), expiresAtMs: Number.POSITIVE_INFINITY };
    if (this.#tokens.size >= this.#maxTokens) this.#tokens.clear();
    this.#tokens.set(key, entry);
    try {
      const token = await entry.pending;
      entry.expiresAtMs = token.expiresAtMs;
      return token;
    } catch (error) {
      if (this.#tokens.get(key) === entry) this.#tokens.delete(key);
      throw error;
    }
  }
}
