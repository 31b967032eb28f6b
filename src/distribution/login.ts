// A login: credentials are tried at GET /v2/, and exchanged for a refresh token where the token service gives one.
// Source: Engine API 1.51, POST /auth; texts are dockerd's.

import { EngineError, isEngineError } from "../base/errors.ts";
import { discard } from "./body.ts";
import { isOfficial, planEndpoints, urlOf } from "./endpoint.ts";
import { RegistryError } from "./errors.ts";
import type { Credentials } from "./index.ts";
import { Session, type SessionDeps } from "./session.ts";

const officialAddress = "https://index.docker.io/v1/";

/** The registry that a server address means: "https://index.docker.io/v1/" is docker.io, as is none. */
export function registryOfAddress(serverAddress: string): string {
  if (serverAddress === "" || serverAddress === officialAddress) return "docker.io";
  const host = serverAddress.replace(/^https?:\/\//i, "").split("/", 1)[0] ?? "";
  if (!/^(?:[A-Za-z0-9.-]+|\[[0-9A-Fa-f:]+\])(?::\d{1,5})?$/.test(host))
    throw new EngineError(
      "InvalidParameter",
      `unable to parse server address: ${JSON.stringify(serverAddress.slice(0, 200))}`,
    );
  return isOfficial(host) ? "docker.io" : host;
}

/** As Distribution.login. */
export async function login(
  deps: SessionDeps,
  credentials: Credentials,
  signal: AbortSignal,
): Promise<{ readonly status: string; readonly identityToken: string }> {
  const endpoints = await planEndpoints(registryOfAddress(credentials.serverAddress), "push", deps.config);
  let failure: unknown;
  for (const endpoint of endpoints) {
    const session = new Session(deps, { endpoint, credentials, offline: true });
    try {
      await session.ping(signal);
    } catch (error) {
      if (isEngineError(error, "Cancelled")) throw error;
      failure = error;
      continue;
    }
    const answer = await session.request({ method: "GET", target: "", scopes: [] }, signal);
    discard(answer);
    if (answer.status === 200) return { status: "Login Succeeded", identityToken: session.refreshToken };
    const url = urlOf(endpoint, "");
    const text = `login attempt to ${url.href} failed with status: ${answer.status} ${answer.statusText}`.trimEnd();
    const kind = answer.status === 401 ? "Unauthorized" : answer.status === 403 ? "Forbidden" : "Unavailable";
    throw new RegistryError(kind, text, { status: answer.status });
  }
  throw failure;
}
