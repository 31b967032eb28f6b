// Who asks, and whether they may. Four ways to run: open to all; passwords; passwords with an access file, where this server is
// also the token server of its own challenges; tokens of another token server.

import type { Logger } from "../../base/log.ts";
import { RegistryError } from "../errors.ts";
import { watchFile } from "../watched-file.ts";
import { createTokenIssuer, type TokenIssuer } from "./issuer.ts";
import { createPasswordCheck, parseHtpasswd, type PasswordCheck } from "./passwords.ts";
import { type Access, everythingForUsers, type Need, parseAccess } from "./rights.ts";
import { grantsCover, renderScopes } from "./scopes.ts";
import { parseTokenKeys, type TokenKey } from "./token-keys.ts";
import { type TokenRules, verifyToken } from "./tokens.ts";

export type { Need } from "./rights.ts";
export type { TokenIssuer } from "./issuer.ts";

export interface AuthOptions {
  /** Paths; undefined where not used. */
  readonly htpasswdFile: string | undefined;
  readonly accessFile: string | undefined;
  /** Another token server's. */
  readonly token:
    | {
        readonly realm: string;
        readonly service: string;
        readonly issuer: string;
        readonly certFiles: readonly string[];
      }
    | undefined;
  /** "registry.example.com": what own tokens are for. */
  readonly service: string;
}

/** Who asks. */
export interface Identity {
  /** undefined for anonymous requests. */
  readonly user: string | undefined;
  may(need: Need): boolean;
}

/** Basic credentials of a header; undefined when there are none. */
export interface BasicCredentials {
  readonly user: string;
  readonly password: string;
}

export interface Auth {
  /** Serves /token; undefined when this server issues no tokens. */
  readonly issuer: TokenIssuer | undefined;
  /**
   * @param header Authorization
   * @param origin "https://registry.example.com": where own tokens are to be had
   * @param needs  all must be granted; with none the client must be somebody, where anybody has to log in
   * @param wanted what a challenge asks for; `needs` without it
   * @throws UNAUTHORIZED with a challenge; DENIED this user may not; TOOMANYREQUESTS
   */
  authorize(
    header: string | undefined,
    origin: string,
    needs: readonly Need[],
    wanted?: readonly Need[],
  ): Promise<Identity>;
  /** @throws UNAUTHORIZED wrong password, with a Basic challenge */
  logIn(credentials: BasicCredentials): Promise<string>;
}

const maxHeaderLength = 64 << 10;
const basicChallenge = 'Basic realm="registry", charset="UTF-8"';

/** Reads "Basic …"; undefined for anything else. */
export function parseBasic(header: string | undefined): BasicCredentials | undefined {
  const m = /^basic +([A-Za-z0-9+/=_-]+)$/i.exec(header ?? "");
  if (m === null) return undefined;
  const text = Buffer.from(m[1] ?? "", "base64").toString("utf8");
  const at = text.indexOf(":");
  return at < 0 ? undefined : { user: text.slice(0, at), password: text.slice(at + 1) };
}

function unauthorized(message: string, challenge: string): RegistryError {
  return new RegistryError("UNAUTHORIZED", message, { headers: { "WWW-Authenticate": challenge } });
}

const open: Auth = {
  issuer: undefined,
  authorize: async () => ({ user: undefined, may: () => true }),
  logIn: async ({ user }) => user,
};

interface Parts {
  readonly check: PasswordCheck | undefined;
  /** Rights of those who say who they are by a password, and of those who do not say. */
  readonly access: (() => Access) | undefined;
  readonly verifier: { readonly keys: () => readonly TokenKey[]; readonly rules: TokenRules } | undefined;
  challenge(origin: string, needs: readonly Need[], error: string | undefined): string;
}

async function identify(
  parts: Parts,
  header: string | undefined,
  fail: (message: string, error?: string) => RegistryError,
): Promise<Identity & { readonly byToken: boolean }> {
  const { access, check, verifier } = parts;
  if (header === undefined)
    return { user: undefined, byToken: false, may: (need) => access?.().may(undefined, need) ?? false };
  if (header.length > maxHeaderLength) throw fail("the Authorization header is too long");
  const basic = parseBasic(header);
  if (basic !== undefined && check !== undefined && access !== undefined) {
    if (!(await check.isRight(basic.user, basic.password))) throw fail("incorrect username or password");
    return { user: basic.user, byToken: false, may: (need) => access().may(basic.user, need) };
  }
  const token = /^bearer +(\S+)$/i.exec(header)?.[1];
  if (token === undefined || verifier === undefined) throw fail("this kind of authentication is not used here");
  try {
    const claims = verifyToken(token, verifier.keys(), verifier.rules);
    if (claims.use !== undefined) throw fail("the token is for getting other tokens", "invalid_token");
    const user = claims.subject === "" ? undefined : claims.subject;
    return { user, byToken: true, may: (need) => grantsCover(claims.access, need) };
  } catch (error) {
    if (error instanceof RegistryError && error.headers["WWW-Authenticate"] === undefined)
      throw fail(error.message, "invalid_token");
    throw error;
  }
}

function guard(parts: Parts, issuer: TokenIssuer | undefined): Auth {
  return {
    issuer,
    async authorize(header, origin, needs, wanted = needs) {
      const fail = (message: string, error?: string): RegistryError =>
        unauthorized(message, parts.challenge(origin, wanted, error));
      const identity = await identify(parts, header, fail);
      const anonymous = identity.user === undefined && !identity.byToken;
      if (needs.length === 0 && anonymous) throw fail("authentication required");
      if (needs.every((need) => identity.may(need))) return identity;
      if (anonymous) throw fail("authentication required");
      const message = "requested access to the resource is denied";
      if (!identity.byToken) throw new RegistryError("DENIED", message);
      // 401, not 403: a client that keeps tokens gets one with the scope of the challenge and comes again.
      throw new RegistryError("DENIED", message, {
        status: 401,
        headers: { "WWW-Authenticate": parts.challenge(origin, wanted, "insufficient_scope") },
      });
    },
    async logIn({ user, password }) {
      if (parts.check === undefined || !(await parts.check.isRight(user, password)))
        throw unauthorized("incorrect username or password", basicChallenge);
      return user;
    },
  };
}

function quoted(text: string): string {
  return `"${text.replaceAll(/[^\x20-\x7e]/g, "").replaceAll(/["\\]/g, "\\$&")}"`;
}

function bearerChallenge(realm: string, service: string, needs: readonly Need[], error: string | undefined): string {
  const scope = renderScopes(needs);
  return [
    `Bearer realm=${quoted(realm)}`,
    `service=${quoted(service)}`,
    ...(scope === "" ? [] : [`scope=${quoted(scope)}`]),
    ...(error === undefined ? [] : [`error=${quoted(error)}`]),
  ].join(",");
}

/**
 * @param directory where the key for own tokens is kept
 * @throws InvalidParameter a file that is no such file
 */
export function createAuth(options: AuthOptions, directory: string, logger: Logger): Auth {
  const { accessFile, htpasswdFile, token } = options;
  if (token !== undefined) {
    const files = token.certFiles.map((path) => watchFile(path, parseTokenKeys, logger));
    const verifier = { keys: () => files.flatMap((file) => file.value()), rules: token };
    const challenge = (_origin: string, needs: readonly Need[], error: string | undefined): string =>
      bearerChallenge(token.realm, token.service, needs, error);
    return guard({ check: undefined, access: undefined, verifier, challenge }, undefined);
  }
  if (htpasswdFile === undefined && accessFile === undefined) return open;
  const passwords =
    htpasswdFile === undefined ? { value: () => new Map() } : watchFile(htpasswdFile, parseHtpasswd, logger);
  const check = createPasswordCheck(() => passwords.value());
  if (accessFile === undefined)
    return guard(
      { check, access: () => everythingForUsers, verifier: undefined, challenge: () => basicChallenge },
      undefined,
    );
  const rules = watchFile(accessFile, parseAccess, logger);
  const issuer = createTokenIssuer(
    directory,
    options.service,
    () => rules.value(),
    () => passwords.value(),
  );
  const challenge = (origin: string, needs: readonly Need[], error: string | undefined): string =>
    bearerChallenge(`${origin}/token`, options.service, needs, error);
  const verifier = { keys: () => issuer.keys, rules: issuer.rules };
  return guard({ check, access: () => rules.value(), verifier, challenge }, issuer);
}
