// Failures of name resolution, connections and TLS in dockerd's (Go's) words, which scripts and users look for, with the
// request in front: `Get "https://host/v2/": dial tcp 10.0.0.1:443: connect: connection refused`.

import { EngineError, errnoOf, messageOf } from "../base/errors.ts";
import { RegistryError } from "./errors.ts";

const syscallTexts: Readonly<Record<string, string>> = {
  ECONNREFUSED: "connect: connection refused",
  EHOSTUNREACH: "connect: no route to host",
  ENETUNREACH: "connect: network is unreachable",
  ETIMEDOUT: "i/o timeout",
};

/** Failures that no second attempt a moment later cures; a registry that is not there is told at once. */
const lasting = new Set([
  "ENOTFOUND",
  "EHOSTUNREACH",
  "ENETUNREACH",
  "EPROTO",
  "CERT_HAS_EXPIRED",
  "DEPTH_ZERO_SELF_SIGNED_CERT",
  "ERR_TLS_CERT_ALTNAME_INVALID",
  "SELF_SIGNED_CERT_IN_CHAIN",
  "UNABLE_TO_GET_ISSUER_CERT",
  "UNABLE_TO_GET_ISSUER_CERT_LOCALLY",
  "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
  "HPE_HEADER_OVERFLOW",
]);

function field(error: unknown, name: string): string {
  const value: unknown = error instanceof Error ? Object.entries(error).find(([key]) => key === name)?.[1] : undefined;
  return typeof value === "string" || typeof value === "number" ? String(value) : "";
}

/** Attempts on several addresses fail together; the last one is told, as Go does. */
function single(error: unknown): unknown {
  return error instanceof AggregateError && error.errors.length > 0 ? error.errors.at(-1) : error;
}

function certificateText(code: string, error: unknown): string | undefined {
  const prefix = "tls: failed to verify certificate: x509: ";
  switch (code) {
    case "CERT_HAS_EXPIRED":
    case "CERT_NOT_YET_VALID":
      return `${prefix}certificate has expired or is not yet valid`;
    case "ERR_TLS_CERT_ALTNAME_INVALID":
      return `${prefix}certificate is not valid for this host: ${field(error, "reason")}`;
    case "DEPTH_ZERO_SELF_SIGNED_CERT":
    case "SELF_SIGNED_CERT_IN_CHAIN":
    case "UNABLE_TO_GET_ISSUER_CERT":
    case "UNABLE_TO_GET_ISSUER_CERT_LOCALLY":
    case "UNABLE_TO_VERIFY_LEAF_SIGNATURE":
      return `${prefix}certificate signed by unknown authority`;
    default:
      return undefined;
  }
}

function describe(error: unknown): string {
  const code = errnoOf(error) ?? "";
  const certificate = certificateText(code, error);
  if (certificate !== undefined) return certificate;
  const address = field(error, "address");
  const port = field(error, "port");
  const dialled = address === "" ? "" : ` ${address.includes(":") ? `[${address}]` : address}:${port}`;
  const text = syscallTexts[code];
  if (text !== undefined) return `dial tcp${dialled}: ${text}`;
  if (code === "ENOTFOUND") return `dial tcp: lookup ${field(error, "hostname")}: no such host`;
  if (code === "EAI_AGAIN") return `dial tcp: lookup ${field(error, "hostname")}: server misbehaving`;
  if (code === "ECONNRESET") return messageOf(error) === "socket hang up" ? "EOF" : "read: connection reset by peer";
  if (code === "EPIPE") return "write: broken pipe";
  if (/wrong version number|packet length too long|http request/i.test(messageOf(error)))
    return "http: server gave HTTP response to HTTPS client";
  const alert = /SSL alert number (\d+)/.exec(messageOf(error))?.[1];
  if (alert !== undefined) return `remote error: tls: alert ${alert}: ${field(error, "reason") || messageOf(error)}`;
  return messageOf(error);
}

/** What Go names a method in its errors: "Get". */
function verbOf(method: string): string {
  return method.charAt(0) + method.slice(1).toLowerCase();
}

/** `Get "https://host/path": text`, without a query that could hold secrets. */
export function inRequest(method: string, url: URL, text: string): string {
  return `${verbOf(method)} ${JSON.stringify(`${url.protocol}//${url.host}${url.pathname}`)}: ${text}`;
}

/**
 * Anything that a request threw, as an error of ours. RegistryErrors and EngineErrors stay what they are.
 *
 * @param viaProxy whoever could not be reached is the proxy
 */
export function networkError(method: string, url: URL, thrown: unknown, viaProxy = false): EngineError {
  const error = single(thrown);
  if (error instanceof EngineError) return error;
  const code = errnoOf(error) ?? "";
  const transient = !lasting.has(code) && !code.startsWith("ERR_SSL") && !code.startsWith("HPE_");
  const text = describe(error);
  const whole = viaProxy && text.startsWith("dial tcp") ? `proxyconnect tcp: ${text}` : text;
  return new RegistryError("Unavailable", inRequest(method, url, whole), { transient, cause: error });
}

/** The connection was there and broke: a second attempt often succeeds. A host without DNS is told so at once. */
export function isBreak(error: RegistryError): boolean {
  return ["ECONNRESET", "EPIPE"].includes(errnoOf(single(error.cause)) ?? "");
}
