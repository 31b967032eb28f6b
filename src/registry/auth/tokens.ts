// Bearer tokens: JSON Web Tokens signed with RS256 or ES256, with the rights on repositories in the claim "access".
// Checked here: the algorithm is the key's own, signature, iss, aud, exp, nbf. Keys in a token's header (jwk, jku, x5u) are
// never looked at. Source: RFC 7519; Docker's "Token Authentication Implementation".

import { type KeyObject, randomUUID, sign, verify } from "node:crypto";
import { isEngineError, messageOf } from "../../base/errors.ts";
import {
  type JsonObject,
  optional,
  parseArray,
  parseJson,
  parseObject,
  parseString,
  parseStrings,
} from "../../spec/parse-json.ts";
import { RegistryError } from "../errors.ts";
import { keyOfChain, type TokenKey, tokenKey } from "./token-keys.ts";

/** One entry of the claim "access". */
export interface Grant {
  readonly type: string;
  readonly name: string;
  readonly actions: readonly string[];
}

/** What a good token says. */
export interface TokenClaims {
  /** "" for somebody who did not log in. */
  readonly subject: string;
  readonly access: readonly Grant[];
  /** What the token is for: undefined for a bearer token, "refresh" for one that only gets others. */
  readonly use: string | undefined;
  /** Binds a refresh token to the password that it was given for. */
  readonly proof: string | undefined;
}

export interface TokenRules {
  readonly issuer: string;
  readonly service: string;
}

const leewaySeconds = 60;
const maxTokenLength = 64 << 10;
const maxGrants = 1000;

function bad(why: string, cause?: unknown): RegistryError {
  return new RegistryError("UNAUTHORIZED", `the token is not valid: ${why}`, { cause });
}

function decodePart(part: string, what: string): JsonObject {
  if (!/^[A-Za-z0-9_-]+$/.test(part)) throw bad(`its ${what} is no base64url`);
  return parseObject(parseJson(Buffer.from(part, "base64url"), what), what);
}

/** The keys that may have signed, given what the header says about it. */
function candidates(header: JsonObject, trusted: readonly TokenKey[]): readonly KeyObject[] {
  const chain = optional(header["x5c"], "x5c", parseStrings);
  if (chain !== undefined && chain.length > 0) {
    const key = keyOfChain(chain, trusted);
    return key === undefined ? [] : [key];
  }
  const id = optional(header["kid"], "kid", parseString);
  const named = trusted.filter(({ ids }) => id !== undefined && ids.includes(id));
  return (named.length > 0 ? named : trusted).map(({ key }) => key);
}

function isSignedBy(key: KeyObject, algorithm: unknown, signed: Buffer, signature: Buffer): boolean {
  const { asymmetricKeyType: type, asymmetricKeyDetails: details } = key;
  try {
    if (algorithm === "RS256" && type === "rsa") return verify("sha256", signed, key, signature);
    if (algorithm === "ES256" && type === "ec" && details?.namedCurve === "prime256v1")
      return verify("sha256", signed, { key, dsaEncoding: "ieee-p1363" }, signature);
  } catch {
    // A signature that cannot even be read.
  }
  return false;
}

function parseTime(value: unknown, what: string): number {
  if (typeof value !== "number" || !Number.isFinite(value)) throw bad(`${what} is no time`);
  return value;
}

function checkClaims(claims: JsonObject, rules: TokenRules): void {
  const now = Date.now() / 1000;
  if (claims["iss"] !== rules.issuer) throw bad("another issuer");
  const audience = claims["aud"];
  if (!(Array.isArray(audience) ? audience : [audience]).includes(rules.service))
    throw bad("it is for another service");
  if (parseTime(claims["exp"], "exp") + leewaySeconds <= now) throw bad("it has expired");
  const notBefore = optional(claims["nbf"], "nbf", parseTime);
  if (notBefore !== undefined && notBefore - leewaySeconds > now) throw bad("it is not valid yet");
}

function parseGrant(value: unknown, what: string): Grant {
  const object = parseObject(value, what);
  return {
    type: parseString(object["type"], `${what}.type`),
    name: parseString(object["name"], `${what}.name`),
    actions: parseStrings(object["actions"], `${what}.actions`),
  };
}

/** @throws UNAUTHORIZED not signed by a trusted key, expired, for somebody else, or malformed */
export function verifyToken(token: string, trusted: readonly TokenKey[], rules: TokenRules): TokenClaims {
  try {
    const [head = "", body = "", tail = "", more] = token.split(".", 4);
    if (token.length > maxTokenLength || tail === "" || more !== undefined) throw bad("it is no JSON Web Token");
    const header = decodePart(head, "header");
    if (header["crit"] !== undefined) throw bad("its header has extensions that are not known here");
    const signed = Buffer.from(`${head}.${body}`);
    const signature = Buffer.from(tail, "base64url");
    if (!candidates(header, trusted).some((key) => isSignedBy(key, header["alg"], signed, signature)))
      throw bad("no trusted key has signed it");
    const claims = decodePart(body, "claims");
    checkClaims(claims, rules);
    const access = optional(claims["access"], "access", parseArray) ?? [];
    if (access.length > maxGrants) throw bad("too many grants");
    return {
      subject: optional(claims["sub"], "sub", parseString) ?? "",
      access: access.map((grant, index) => parseGrant(grant, `access[${index}]`)),
      use: optional(claims["use"], "use", parseString),
      proof: optional(claims["proof"], "proof", parseString),
    };
  } catch (error) {
    if (isEngineError(error)) throw bad(messageOf(error), error);
    throw error;
  }
}

/**
 * Makes a token, signed with ES256.
 *
 * @param key a private P-256 key
 */
export function signToken(
  key: KeyObject,
  publicKey: KeyObject,
  rules: TokenRules,
  claims: TokenClaims,
  lifeSeconds: number,
): { readonly token: string; readonly issuedAt: Date } {
  const issuedAt = new Date();
  const seconds = Math.floor(issuedAt.getTime() / 1000);
  const encode = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString("base64url");
  const signed = [
    encode({ typ: "JWT", alg: "ES256", kid: tokenKey(publicKey).ids[0] }),
    encode({
      iss: rules.issuer,
      aud: rules.service,
      sub: claims.subject,
      iat: seconds,
      nbf: seconds,
      exp: seconds + lifeSeconds,
      jti: randomUUID(),
      access: claims.access,
      use: claims.use,
      proof: claims.proof,
    }),
  ].join(".");
  const signature = sign("sha256", Buffer.from(signed), { key, dsaEncoding: "ieee-p1363" });
  return { token: `${signed}.${signature.toString("base64url")}`, issuedAt };
}
