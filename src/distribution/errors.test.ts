import assert from "node:assert/strict";
import { test } from "node:test";
import { parseNamed } from "../base/reference.ts";
import { errorOfAnswer, parseRetryAfter, RegistryError } from "./errors.ts";
import { translatePullError } from "./manifest.ts";
import { planRetry } from "./retry.ts";

const json = { "content-type": "application/json; charset=utf-8" };

function errorOf(status: number, body = "", headers: Readonly<Record<string, string>> = json): RegistryError {
  const statusText = { 403: "Forbidden", 500: "Internal Server Error", 503: "Service Unavailable" }[status] ?? "";
  return errorOfAnswer({ status, statusText, headers, body: Buffer.from(body) });
}

function item(code: string, message: string, detail?: unknown): string {
  return JSON.stringify({ errors: [{ code, message, detail }] });
}

// Recorded from dockerd 28.5 with `POST /images/create` against a registry that answers so.
const recorded: readonly (readonly [string, RegistryError, string, string])[] = [
  ["denied", errorOf(403, item("DENIED", "requested access to the resource is denied")), "Forbidden", "denied"],
  [
    "denied with detail",
    errorOf(403, item("DENIED", "requested access to the resource is denied", [])),
    "NotFound",
    "pull access denied for r:5/x, repository does not exist or may require 'docker login': denied: requested access to the resource is denied",
  ],
  ["unauthorized", errorOf(401, item("UNAUTHORIZED", "authentication required")), "Unauthorized", "unauthorized"],
  [
    "unauthorized with detail",
    errorOf(401, item("UNAUTHORIZED", "authentication required", [1])),
    "Unauthorized",
    "unauthorized: authentication required",
  ],
  [
    "rate limit",
    errorOf(429, item("TOOMANYREQUESTS", "You have reached it.")),
    "Unavailable",
    "toomanyrequests: You have reached it.",
  ],
  ["429 without a body", errorOf(429, "", {}), "Unavailable", "toomanyrequests: "],
  [
    "403 without a body",
    errorOf(403, "", {}),
    "NotFound",
    "pull access denied for r:5/x, repository does not exist or may require 'docker login': denied: ",
  ],
  ["401 without a body", errorOf(401, "", {}), "Unauthorized", "unauthorized: "],
  ["HTML", errorOf(404, "<html>not here", { "content-type": "text/html" }), "NotFound", "unknown: <html>not here"],
  ["500", errorOf(500, "boom", {}), "Unavailable", "received unexpected HTTP status: 500 Internal Server Error"],
  ["an unknown code", errorOf(400, item("WEIRD", "weird thing")), "Unknown", "unknown: weird thing"],
  [
    "an unknown name",
    errorOf(404, item("NAME_UNKNOWN", "repository name not known to registry", {})),
    "NotFound",
    "repository r:5/x not found: name unknown: repository name not known to registry",
  ],
  [
    "a bare manifest unknown",
    errorOf(404, item("MANIFEST_UNKNOWN", "manifest unknown")),
    "NotFound",
    "manifest unknown",
  ],
  [
    "two",
    errorOf(400, `{"errors":[{"code":"DENIED","message":"a"},{"code":"UNSUPPORTED","message":"b"}]}`),
    "NotFound",
    "pull access denied for r:5/x, repository does not exist or may require 'docker login': denied: a",
  ],
];

for (const [title, error, kind, message] of recorded)
  test(`a pull's error is dockerd's: ${title}`, () => {
    const translated = translatePullError(error, parseNamed("r:5/x:latest"));
    assert.ok(translated instanceof RegistryError);
    assert.deepEqual([translated.kind, translated.message], [kind, message]);
  });

test("bodies that are no error documents are told by their beginning", () => {
  assert.equal(errorOf(404, "").message, 'error parsing HTTP 404 response body: unexpected end of JSON input: ""');
  assert.equal(
    errorOf(400, "<a>").message,
    `error parsing HTTP 400 response body: invalid character '<' looking for beginning of value: "<a>"`,
  );
  assert.equal(
    errorOf(400, "{}").message,
    'error parsing HTTP 400 response body: no error details found in HTTP response body: "{}"',
  );
  assert.equal(errorOf(429, `{"details":"slow down"}`).message, "toomanyrequests: slow down");
});

test("a challenge with an error counts before the body", () => {
  const headers = { ...json, "www-authenticate": `Bearer realm="x",error="insufficient_scope",error_description="no"` };
  assert.deepEqual([errorOf(401, "", headers).code, errorOf(401, "", headers).message], ["DENIED", "denied: no"]);
});

test("control characters of a registry do not reach a terminal", () => {
  // oxlint-disable-next-line no-control-regex
  assert.doesNotMatch(errorOf(400, item("WEIRD", "a\u001b[31m\u0000b\r", 1)).message, /[\u0000-\u0008\u000b-\u001f]/);
});

test("Retry-After is seconds or a date", () => {
  const now = Date.UTC(2026, 0, 1);
  assert.deepEqual(
    ["7", "Thu, 01 Jan 2026 00:00:05 GMT", "Wed, 31 Dec 2025 00:00:00 GMT", "soon", undefined].map((text) =>
      parseRetryAfter(text, now),
    ),
    [7000, 5000, 0, undefined, undefined],
  );
});

test("429, 408, 5xx but 501 and 505, and broken connections are tried again", () => {
  const statuses = [400, 401, 403, 404, 408, 413, 429, 500, 501, 502, 503, 504, 505];
  assert.deepEqual(
    statuses.filter((status) => planRetry(errorOf(status), 1, 5).retry),
    [408, 429, 500, 502, 503, 504],
  );
  assert.equal(planRetry(new RegistryError("Unavailable", "EOF", { transient: true }), 1, 5).retry, true);
  assert.equal(planRetry(new Error("bug"), 1, 5).retry, false);
});

test("pauses double up to 15 seconds, give or take a quarter, and Retry-After counts up to a minute", () => {
  const delays = (error: unknown): readonly unknown[] =>
    [1, 2, 3, 4, 5, 6].map((attempt) => {
      const decision = planRetry(error, attempt, 6, 0.5);
      return decision.retry ? decision.delayMs : "over";
    });
  assert.deepEqual(delays(errorOf(503)), [1000, 2000, 4000, 8000, 15_000, "over"]);
  const after = (seconds: string): unknown => planRetry(errorOf(429, "", { "retry-after": seconds }), 1, 5, 0.5);
  assert.deepEqual(
    [after("3"), after("1000000000")],
    [
      { retry: true, delayMs: 3000 },
      { retry: true, delayMs: 60_000 },
    ],
  );
  assert.deepEqual(
    [0, 1].map((random) => planRetry(errorOf(503), 1, 5, random)),
    [
      { retry: true, delayMs: 750 },
      { retry: true, delayMs: 1250 },
    ],
  );
});
