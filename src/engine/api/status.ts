// Error kind → HTTP status, the only place that knows. Source: moby's errdefs to status mapping, Engine API 1.51.

import { type ErrorKind, isEngineError, messageOf } from "../../base/errors.ts";

const statusByKind: Readonly<Record<ErrorKind, number>> = {
  InvalidParameter: 400,
  Unauthorized: 401,
  Forbidden: 403,
  NotFound: 404,
  NotModified: 304,
  Conflict: 409,
  NotImplemented: 501,
  Unavailable: 503,
  System: 500,
  DataLoss: 500,
  Cancelled: 500,
  Deadline: 500,
  Unknown: 500,
};

/** The status of anything that was thrown; 500 for what is no EngineError. */
export function statusOf(error: unknown): number {
  return isEngineError(error) ? statusByKind[error.kind] : 500;
}

/** The body of an error reply: `{"message": …}` and a newline, as dockerd writes it. */
export function renderError(error: unknown): string {
  return `${JSON.stringify({ message: messageOf(error) })}\n`;
}

/** The last line of a stream of JSON messages that failed after its first byte. */
export function renderStreamError(error: unknown): string {
  const message = messageOf(error);
  return `${JSON.stringify({ errorDetail: { message }, error: message })}\n`;
}
