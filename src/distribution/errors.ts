// What registries and token services complain of, as errors of the engine. Texts are dockerd's, built as its registry client
// builds them: `<code in lower case>: <message>`, and of an answer that is no error document its status or its text.
// Source: OCI distribution-spec 1.1, "Error Codes"; RFC 6750 section 3.1 for `error` in a challenge.

import { EngineError, type ErrorKind } from "../base/errors.ts";
import { type Challenge, parseChallenges } from "./challenge.ts";
import { isBlank, jsonComplaint } from "./json-complaint.ts";

/** A failure that came from, or on the way to, a registry. */
export class RegistryError extends EngineError {
  /** HTTP status; undefined when there was no answer. */
  readonly status: number | undefined;
  /** The registry's own code ("MANIFEST_UNKNOWN"), where it gave one. */
  readonly code: string | undefined;
  /** The first complaint of several; the message has them all. */
  readonly firstText: string;
  /** The same request may succeed later: broken connections, stalls, 429, 5xx. */
  readonly transient: boolean;
  /** What Retry-After asked for; not capped. */
  readonly retryAfterMs: number | undefined;

  constructor(
    kind: ErrorKind,
    message: string,
    about: {
      readonly status?: number | undefined;
      readonly code?: string | undefined;
      readonly firstText?: string | undefined;
      readonly transient?: boolean;
      readonly retryAfterMs?: number | undefined;
      readonly cause?: unknown;
    } = {},
  ) {
    super(kind, message, { cause: about.cause });
    this.status = about.status;
    this.code = about.code;
    this.firstText = about.firstText ?? message;
    this.transient = about.transient ?? false;
    this.retryAfterMs = about.retryAfterMs;
  }

  /** The same failure, but not to be tried again. */
  lasting(): RegistryError {
    const { status, code, retryAfterMs } = this;
    return new RegistryError(this.kind, this.message, { status, code, retryAfterMs, cause: this.cause });
  }

  /** The same failure in other words. */
  restated(message: string, kind: ErrorKind = this.kind): RegistryError {
    const { status, code, transient, retryAfterMs } = this;
    return new RegistryError(kind, message, { status, code, transient, retryAfterMs, cause: this });
  }
}

/** A registry's answer that says something else than what was asked for. */
export function refused(message: string): RegistryError {
  return new RegistryError("InvalidParameter", message);
}

/** An answer whose status is an error. */
export interface ErrorAnswer {
  readonly status: number;
  readonly statusText: string;
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>;
  /** Of the body, as much as was read (64 KiB). */
  readonly body: Uint8Array;
}

interface Complaint {
  readonly code: string;
  readonly text: string;
}

/** The texts that a registry's reference implementation gives its codes: a message that only repeats it is not shown. */
const standardMessages: Readonly<Record<string, string>> = {
  UNKNOWN: "unknown error",
  UNSUPPORTED: "The operation is unsupported.",
  UNAUTHORIZED: "authentication required",
  DENIED: "requested access to the resource is denied",
  UNAVAILABLE: "service unavailable",
  TOOMANYREQUESTS: "too many requests",
  DIGEST_INVALID: "provided digest did not match uploaded content",
  SIZE_INVALID: "provided length did not match content length",
  NAME_INVALID: "invalid repository name",
  TAG_INVALID: "manifest tag did not match URI",
  NAME_UNKNOWN: "repository name not known to registry",
  MANIFEST_UNKNOWN: "manifest unknown",
  MANIFEST_INVALID: "manifest invalid",
  MANIFEST_UNVERIFIED: "manifest failed signature verification",
  MANIFEST_BLOB_UNKNOWN: "blob unknown to registry",
  BLOB_UNKNOWN: "blob unknown to registry",
  BLOB_UPLOAD_UNKNOWN: "blob upload unknown to registry",
  BLOB_UPLOAD_INVALID: "blob upload invalid",
};

const maxTextLength = 4096;

/** Control characters would reach terminals and log files. */
function printable(text: string): string {
  // oxlint-disable-next-line no-control-regex
  return text.replaceAll(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g, "\ufffd").slice(0, maxTextLength);
}

function nameOf(code: string): string {
  return code.toLowerCase().replaceAll("_", " ");
}

function complain(code: string, message: string, hasDetail: boolean): Complaint {
  const known = Object.hasOwn(standardMessages, code) ? code : "UNKNOWN";
  const bare = !hasDetail && (message === "" || message === standardMessages[known]);
  return { code: known, text: bare ? nameOf(known) : `${nameOf(known)}: ${printable(message)}` };
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function textOf(value: unknown): string {
  return typeof value === "string" ? value : "";
}

/** What a status says by itself; an answer that is no document is its message. */
function complainByStatus(status: number, message: string): Complaint {
  const code = { 401: "UNAUTHORIZED", 403: "DENIED", 429: "TOOMANYREQUESTS" }[status] ?? "UNKNOWN";
  return complain(code, message, true);
}

function isJsonType(contentType: string): boolean {
  const type = (contentType.split(";", 1)[0] ?? "").trim().toLowerCase();
  return type === "application/json" || type === "application/vnd.api+json";
}

/** The document's complaints, or one about a document that has none. */
function readComplaints(status: number, contentType: string, body: Uint8Array): readonly Complaint[] {
  const text = Buffer.from(body).toString("utf8");
  if (!isJsonType(contentType)) return [complainByStatus(status, text)];
  const unreadable = (why: string): readonly Complaint[] => [
    status === 401
      ? { code: "UNAUTHORIZED", text: "unauthorized: authentication required" }
      : {
          code: "",
          text: `error parsing HTTP ${status} response body: ${why}: ${JSON.stringify(printable(text))}`,
        },
  ];
  let document: unknown;
  try {
    document = JSON.parse(text);
  } catch {
    return unreadable(jsonComplaint(text));
  }
  if (!isObject(document)) return unreadable("no error details found in HTTP response body");
  const details = textOf(document["details"]);
  if (details !== "") return [complainByStatus(status, details)];
  const errors: unknown = document["errors"];
  const items = Array.isArray(errors) ? errors.filter(isObject) : [];
  if (items.length === 0) return unreadable("no error details found in HTTP response body");
  return items
    .slice(0, 16)
    .map((item) =>
      complain(
        textOf(item["code"]).toUpperCase(),
        textOf(item["message"]),
        item["detail"] !== undefined && item["detail"] !== null,
      ),
    );
}

function complainByChallenge(challenges: readonly Challenge[]): readonly Complaint[] {
  for (const { scheme, parameters } of challenges) {
    if (scheme !== "bearer") continue;
    const code = { invalid_token: "UNAUTHORIZED", insufficient_scope: "DENIED" }[parameters["error"] ?? ""];
    if (code === undefined) continue;
    const description = parameters["error_description"] ?? "";
    return [complain(code, description === "" ? (standardMessages[code] ?? "") : description, true)];
  }
  return [];
}

function kindOf(code: string, status: number): ErrorKind {
  if (code === "UNAUTHORIZED" || status === 401) return "Unauthorized";
  if (code === "DENIED") return "Forbidden";
  if (["MANIFEST_UNKNOWN", "NAME_UNKNOWN", "BLOB_UNKNOWN", "BLOB_UPLOAD_UNKNOWN"].includes(code)) return "NotFound";
  if (status === 404) return "NotFound";
  if (code === "TOOMANYREQUESTS" || status === 429 || status >= 500) return "Unavailable";
  return "Unknown";
}

/** Whether the same request may succeed later. 501 and 505 say that it never will. */
function isTransientStatus(status: number): boolean {
  return status === 408 || status === 429 || (status >= 500 && status !== 501 && status !== 505);
}

/** Retry-After, seconds or a date, in milliseconds from now; undefined for neither. Source: RFC 9110 section 10.2.3. */
export function parseRetryAfter(header: string | undefined, nowUnixMs: number): number | undefined {
  if (header === undefined) return undefined;
  if (/^\s*\d{1,15}\s*$/.test(header)) return Number(header) * 1000;
  const date = Date.parse(header);
  return Number.isNaN(date) ? undefined : Math.max(0, date - nowUnixMs);
}

function headerOf(answer: ErrorAnswer, name: string): string | undefined {
  const value = answer.headers[name];
  return typeof value === "string" ? value : value?.join(", ");
}

/** The error of an answer with status 400 and above (or one that was not expected). */
export function errorOfAnswer(answer: ErrorAnswer): RegistryError {
  const { status } = answer;
  const retryAfterMs = parseRetryAfter(
    headerOf(answer, "retry-after"),
    Math.floor(performance.timeOrigin + performance.now()),
  );
  const about = { status, transient: isTransientStatus(status), retryAfterMs };
  const unexpected = `received unexpected HTTP status: ${status} ${printable(answer.statusText)}`.trimEnd();
  if (status < 400 || status >= 500) {
    const json = isJsonType(headerOf(answer, "content-type") ?? "");
    const said = json ? readComplaints(status, "application/json", answer.body) : [];
    const first = said.find(({ code }) => code !== "");
    const message = first === undefined ? unexpected : `${unexpected}: ${first.text}`;
    return new RegistryError(status < 400 ? "InvalidParameter" : "Unavailable", message, {
      ...about,
      code: first?.code,
    });
  }
  const byChallenge = complainByChallenge(parseChallenges(headerOf(answer, "www-authenticate") ?? ""));
  const byBody =
    byChallenge.length > 0 && isBlank(answer.body)
      ? []
      : readComplaints(status, headerOf(answer, "content-type") ?? "", answer.body);
  const complaints = [...byChallenge, ...byBody.filter(({ code }) => byChallenge.length === 0 || code !== "")];
  const code = complaints[0]?.code ?? "";
  const message =
    complaints.length === 1
      ? (complaints[0]?.text ?? "")
      : `errors:\n${complaints.map(({ text }) => `${text}\n`).join("")}`;
  return new RegistryError(kindOf(code, status), message, {
    ...about,
    code: code === "" ? undefined : code,
    firstText: complaints[0]?.text,
  });
}
