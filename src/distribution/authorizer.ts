// The Authorization of one endpoint: what its challenges ask for, made of the credentials that are for it. A refused token is
// renewed once for a request; whoever is refused again is told so.

import { createHash } from "node:crypto";
import type { Challenge } from "./challenge.ts";
import type { Credentials } from "./index.ts";
import { basicAuthorization, parseRealm, type TokenCache, type TokenRequest } from "./token.ts";

export interface AuthorizerDeps {
  readonly tokens: TokenCache;
  readonly registry: URL;
  readonly credentials: Credentials | undefined;
  readonly insecure: boolean;
  readonly trustOf: TokenRequest["trustOf"];
  readonly base: Omit<TokenRequest["base"], "signal" | "publicOnly">;
  /** Asks for a refresh token, as a login does. */
  readonly offline: boolean;
}

/** An Authorization header, and how it came about. */
export interface Authorization {
  /** undefined: the registry asks for none, or there are no credentials that it takes. */
  readonly header: string | undefined;
  readonly bearer: string | undefined;
  readonly refreshToken: string;
}

const none: Authorization = { header: undefined, bearer: undefined, refreshToken: "" };

export class Authorizer {
  readonly #deps: AuthorizerDeps;
  readonly #identity: string;
  #challenges: readonly Challenge[] = [];
  /** The registry was reached at a local address, so that its realm may be one. */
  #isLocal = false;

  constructor(deps: AuthorizerDeps) {
    this.#deps = deps;
    const { username = "", password = "", identityToken = "" } = deps.credentials ?? {};
    const secret = JSON.stringify([username, password, identityToken]);
    this.#identity = createHash("sha256").update(secret).digest("hex");
  }

  /** Takes what the registry asks for; called with every 401. */
  learn(challenges: readonly Challenge[], isLocal: boolean): void {
    this.#isLocal = isLocal;
    if (challenges.length > 0) this.#challenges = challenges;
  }

  /** A password is asked for, and there is none. */
  get lacksPassword(): boolean {
    const { username = "", password = "" } = this.#deps.credentials ?? {};
    const wants = (scheme: string): boolean => this.#challenges.some((challenge) => challenge.scheme === scheme);
    return wants("basic") && !wants("bearer") && username === "" && password === "";
  }

  /**
   * @param scopes  "repository:library/busybox:pull"
   * @param refused the bearer token that has just been refused
   * @throws as fetchToken; InvalidParameter the realm is refused
   */
  async authorize(scopes: readonly string[], refused: string | undefined, signal: AbortSignal): Promise<Authorization> {
    const { credentials, registry, insecure, tokens } = this.#deps;
    if (credentials !== undefined && credentials.registryToken !== "")
      return { ...none, header: `Bearer ${credentials.registryToken}`, bearer: credentials.registryToken };
    const bearer = this.#challenges.find(({ scheme, parameters }) => scheme === "bearer" && "realm" in parameters);
    if (bearer === undefined) {
      const wantsBasic = this.#challenges.some(({ scheme }) => scheme === "basic");
      return wantsBasic ? { ...none, header: basicAuthorization(credentials) } : none;
    }
    const realm = parseRealm(bearer.parameters["realm"] ?? "", registry, insecure);
    const token = await tokens.get(
      {
        service: { realm, service: bearer.parameters["service"] ?? "" },
        scopes,
        credentials,
        offline: this.#deps.offline,
        insecure,
        trustOf: this.#deps.trustOf,
        base: { ...this.#deps.base, publicOnly: !this.#isLocal, signal },
      },
      this.#identity,
      refused,
    );
    return { header: `Bearer ${token.value}`, bearer: token.value, refreshToken: token.refreshToken };
  }
}
