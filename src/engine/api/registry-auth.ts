// Credentials as clients send them: X-Registry-Auth (one registry's), X-Registry-Config (several, by registry), and the body
// of POST /auth. The headers are base64url of JSON. Nothing of them may get into a log line or an error.
// Source: Engine API 1.51, "Authentication"; dockerd 28.5 takes a header that it cannot read for none.

import type { IncomingMessage } from "node:http";
import { EngineError } from "../../base/errors.ts";
import { parseJson, parseObject } from "../../spec/parse-json.ts";
import type { RegistryCredentials } from "./ports.ts";

/** The credentials of a request's X-Registry-Auth; undefined when it has none, or none that can be read, as in dockerd. */
export function parseRegistryAuth(request: Pick<IncomingMessage, "headers">): RegistryCredentials | undefined {
  const header = request.headers["x-registry-auth"];
  const value = typeof header === "string" ? decodeHeader(header) : undefined;
  const credentials = value === undefined ? undefined : tryParse(value);
  return credentials === undefined || isEmpty(credentials) ? undefined : credentials;
}

/** The credentials of a request's X-Registry-Config by registry, as the client wrote it; what cannot be read is left out. */
export function parseRegistryConfig(
  request: Pick<IncomingMessage, "headers">,
): ReadonlyMap<string, RegistryCredentials> {
  const header = request.headers["x-registry-config"];
  const value = typeof header === "string" ? decodeHeader(header) : undefined;
  const all = new Map<string, RegistryCredentials>();
  if (typeof value !== "object" || value === null || Array.isArray(value)) return all;
  for (const [registry, item] of Object.entries(value)) {
    const credentials = tryParse(item);
    if (credentials !== undefined && !isEmpty(credentials)) all.set(registry, credentials);
  }
  return all;
}

/**
 * Credentials as JSON: the body of POST /auth. Fields that are missing are "".
 *
 * @throws InvalidParameter no object, or a field that is no text
 */
export function parseCredentials(value: unknown): RegistryCredentials {
  const object = parseObject(value, "credentials");
  const field = (name: string): string => {
    // As in Go's JSON, the case of names does not matter.
    const key = Object.keys(object).find((key) => key.toLowerCase() === name);
    const text = key === undefined ? undefined : object[key];
    if (text === undefined || text === null) return "";
    if (typeof text !== "string") throw new EngineError("InvalidParameter", `invalid credentials: ${name} is no text`);
    return text;
  };
  return {
    username: field("username"),
    password: field("password"),
    identityToken: field("identitytoken"),
    registryToken: field("registrytoken"),
    serverAddress: field("serveraddress"),
  };
}

function isEmpty({ username, password, identityToken, registryToken }: RegistryCredentials): boolean {
  return username === "" && password === "" && identityToken === "" && registryToken === "";
}

function tryParse(value: unknown): RegistryCredentials | undefined {
  try {
    return parseCredentials(value);
  } catch {
    return undefined;
  }
}

/** Both alphabets, with and without padding. */
function decodeHeader(text: string): unknown {
  if (!/^[A-Za-z0-9_+/-]*={0,2}$/.test(text)) return undefined;
  try {
    return parseJson(Buffer.from(text, "base64"), "credentials");
  } catch {
    return undefined;
  }
}
