// The server's own tokens: the key that signs them (made once, kept in the data directory, 0600), and what a token may grant.
// A refresh token is bound to the hash of the password that it was given for: changing the password ends it.

import { createHmac, createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject } from "node:crypto";
import { linkSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { errnoOf } from "../../base/errors.ts";
import { RegistryError } from "../errors.ts";
import type { Access, Right } from "./rights.ts";
import type { Passwords } from "./passwords.ts";
import { type Grant, signToken, type TokenRules, verifyToken } from "./tokens.ts";
import { type TokenKey, tokenKey } from "./token-keys.ts";

/** The answer of a token request. */
export interface IssuedToken {
  readonly token: string;
  readonly refreshToken: string | undefined;
  readonly expiresInSeconds: number;
  readonly issuedAt: Date;
  readonly grants: readonly Grant[];
}

export interface TokenIssuer {
  readonly rules: TokenRules;
  readonly keys: readonly TokenKey[];
  /**
   * @param user   undefined for somebody who did not log in
   * @param wanted what the client asks for; it gets what of it the user may
   */
  issue(user: string | undefined, wanted: readonly Grant[], withRefresh: boolean): IssuedToken;
  /** The user of a refresh token. @throws UNAUTHORIZED expired, or the password has changed */
  userOf(refreshToken: string): string;
}

const accessSeconds = 300;
const refreshSeconds = 180 * 24 * 3600;
const keyFile = "token-key.pem";

function readOrMakeKey(directory: string): KeyObject {
  const path = join(directory, keyFile);
  try {
    return createPrivateKey(readFileSync(path));
  } catch (error) {
    if (errnoOf(error) !== "ENOENT") throw error;
  }
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "prime256v1" });
  const temporary = `${path}.new`;
  rmSync(temporary, { force: true });
  writeFileSync(temporary, privateKey.export({ type: "pkcs8", format: "pem" }), {
    mode: 0o600,
    flag: "wx",
    flush: true,
  });
  linkSync(temporary, path);
  rmSync(temporary);
  return privateKey;
}

function allowed(access: Access, user: string | undefined, grant: Grant): readonly string[] {
  if (grant.type === "registry")
    return grant.name === "catalog" && access.may(user, { server: "catalog" }) ? ["*"] : [];
  const rights: readonly Right[] = ["pull", "push", "delete"];
  const wanted = grant.actions.includes("*") ? rights : rights.filter((right) => grant.actions.includes(right));
  return wanted.filter((right) => access.may(user, { repository: grant.name, right }));
}

export function createTokenIssuer(
  directory: string,
  service: string,
  access: () => Access,
  passwords: () => Passwords,
): TokenIssuer {
  const key = readOrMakeKey(directory);
  const publicKey = createPublicKey(key);
  const rules = { issuer: "gantry-registry", service };
  const keys = [tokenKey(publicKey)];
  const proofKey = key.export({ type: "pkcs8", format: "der" });

  const proofOf = (user: string): string | undefined => {
    const hash = passwords().get(user);
    return hash === undefined
      ? undefined
      : createHmac("sha256", proofKey).update(`${user}\n${hash}`).digest("base64url");
  };

  return {
    rules,
    keys,
    issue(user, wanted, withRefresh) {
      const grants = wanted
        .map((grant) => ({ ...grant, actions: allowed(access(), user, grant) }))
        .filter(({ actions }) => actions.length > 0);
      const sign = (seconds: number, extra: { use?: string; proof?: string | undefined } = {}) =>
        signToken(
          key,
          publicKey,
          rules,
          {
            subject: user ?? "",
            access: extra.use === undefined ? grants : [],
            use: extra.use,
            proof: extra.proof,
          },
          seconds,
        );
      const { token, issuedAt } = sign(accessSeconds);
      const refreshToken =
        withRefresh && user !== undefined
          ? sign(refreshSeconds, { use: "refresh", proof: proofOf(user) }).token
          : undefined;
      return { token, refreshToken, expiresInSeconds: accessSeconds, issuedAt, grants };
    },
    userOf(refreshToken) {
      const { subject, use, proof } = verifyToken(refreshToken, keys, rules);
      if (use !== "refresh" || proof === undefined || proof !== proofOf(subject))
        throw new RegistryError("UNAUTHORIZED", "the refresh token is no longer valid: log in again");
      return subject;
    },
  };
}
