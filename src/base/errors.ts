// The one error class of the engine and its closed set of kinds. The API maps a kind to a status in one function
// (api/status.ts); nobody branches on a message, but messages that Docker clients match are part of the contract.

export type ErrorKind =
  | "InvalidParameter" // 400
  | "Unauthorized" // 401
  | "Forbidden" // 403
  | "NotFound" // 404
  | "NotModified" // 304
  | "Conflict" // 409
  | "NotImplemented" // 501
  | "Unavailable" // 503
  | "System" // 500, and so are the rest
  | "DataLoss"
  | "Cancelled"
  | "Deadline"
  | "Unknown";

/** A failure with a kind; `message` is what the client reads, `cause` what led to it. */
export class EngineError extends Error {
  readonly kind: ErrorKind;

  constructor(kind: ErrorKind, message: string, options?: { readonly cause?: unknown }) {
    super(message, options);
    this.name = "EngineError";
    this.kind = kind;
  }
}

/** True for an EngineError, of the given kind where one is given. */
export function isEngineError(error: unknown, kind?: ErrorKind): error is EngineError {
  return error instanceof EngineError && (kind === undefined || error.kind === kind);
}

/** The message of anything that was thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** The errno name ("ENOENT") of a Node system error, or undefined. */
export function errnoOf(error: unknown): string | undefined {
  if (!(error instanceof Error) || !("code" in error)) return undefined;
  return typeof error.code === "string" ? error.code : undefined;
}
