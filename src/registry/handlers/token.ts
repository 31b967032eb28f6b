// The token server: GET /token with Basic credentials, as `docker login` and `docker pull` ask; POST as OAuth2 does.
// Source: Docker's "Token Authentication Specification" and "Token Authentication OAuth 2.0 flow".

import { parseBasic, type TokenIssuer } from "../auth/index.ts";
import { parseScopes } from "../auth/scopes.ts";
import { RegistryError } from "../errors.ts";
import { receiveAll } from "../http/body.ts";
import type { Exchange } from "../http/exchange.ts";
import type { Service } from "./service.ts";

const maxFormBytes = 64 << 10;

interface TokenRequest {
  readonly user: string | undefined;
  readonly service: string | null;
  readonly scopes: readonly string[];
  /** The client keeps a refresh token if it gets one. */
  readonly offline: boolean;
}

async function fromQuery(service: Service, exchange: Exchange): Promise<TokenRequest> {
  const { query } = exchange;
  const header = exchange.header("authorization");
  const basic = parseBasic(header);
  if (header !== undefined && basic === undefined)
    throw new RegistryError("UNAUTHORIZED", "only Basic authentication is used here");
  return {
    user: basic === undefined ? undefined : await service.auth.logIn(basic),
    service: query.get("service"),
    scopes: query.getAll("scope"),
    offline: query.get("offline_token") === "true",
  };
}

async function fromForm(service: Service, exchange: Exchange, issuer: TokenIssuer): Promise<TokenRequest> {
  const form = new URLSearchParams((await receiveAll(exchange.body(), maxFormBytes)).toString("utf8"));
  const wanted = {
    service: form.get("service"),
    scopes: form.getAll("scope"),
    offline: form.get("access_type") === "offline",
  };
  switch (form.get("grant_type")) {
    case "password":
      return {
        ...wanted,
        user: await service.auth.logIn({ user: form.get("username") ?? "", password: form.get("password") ?? "" }),
      };
    case "refresh_token":
      return { ...wanted, user: issuer.userOf(form.get("refresh_token") ?? ""), offline: false };
    case null:
    default:
      throw new RegistryError("UNSUPPORTED", "grant_type must be password or refresh_token", { status: 400 });
  }
}

/** GET and POST /token */
export async function serveToken(service: Service, exchange: Exchange): Promise<void> {
  const { issuer } = service.auth;
  if (issuer === undefined) throw new RegistryError("UNSUPPORTED", "this registry issues no tokens", { status: 404 });
  const request =
    exchange.method === "POST" ? await fromForm(service, exchange, issuer) : await fromQuery(service, exchange);
  if (request.service !== null && request.service !== issuer.rules.service)
    throw new RegistryError("DENIED", "tokens for another service are not issued here", { status: 400 });
  const issued = issuer.issue(request.user, parseScopes(request.scopes), request.offline);
  exchange.sendJson(
    200,
    {
      token: issued.token,
      access_token: issued.token,
      expires_in: issued.expiresInSeconds,
      issued_at: issued.issuedAt.toISOString(),
      scope: issued.grants.map(({ actions, name, type }) => `${type}:${name}:${actions.join(",")}`).join(" "),
      ...(issued.refreshToken === undefined ? {} : { refresh_token: issued.refreshToken }),
    },
    { "Cache-Control": "no-store" },
  );
}
