// How a call ended: a code, a text, and details for programs. Source: gRPC over HTTP2 ("Status"), google.rpc.Status.

import { EngineError, isEngineError, messageOf, type ErrorKind } from "../base/errors.ts";
import { bytes, field, int, message, repeatedMessage, string } from "./message.ts";

/** Source: gRPC, "Status codes and their use in gRPC". */
export const codes = {
  ok: 0,
  cancelled: 1,
  unknown: 2,
  invalidArgument: 3,
  deadlineExceeded: 4,
  notFound: 5,
  alreadyExists: 6,
  permissionDenied: 7,
  resourceExhausted: 8,
  failedPrecondition: 9,
  aborted: 10,
  outOfRange: 11,
  unimplemented: 12,
  internal: 13,
  unavailable: 14,
  dataLoss: 15,
  unauthenticated: 16,
} as const;

/** A detail of an error; the value is whatever the type's name says. */
export interface StatusDetail {
  readonly typeUrl: string;
  readonly value: Uint8Array;
}

const Any = message("google.protobuf.Any", { typeUrl: field(1, string), value: field(2, bytes) });
/** Travels in `grpc-status-details-bin`, and inside of messages that carry an error. */
export const Status = message("google.rpc.Status", {
  code: field(1, int),
  message: field(2, string),
  details: repeatedMessage(3, Any),
});

/** A call that failed, at either end; its kind follows from the code. */
export class GrpcError extends EngineError {
  readonly code: number;
  readonly details: readonly StatusDetail[];

  constructor(
    code: number,
    text: string,
    options: { readonly details?: readonly StatusDetail[]; readonly cause?: unknown } = {},
  ) {
    super(kindOf(code), text, { cause: options.cause });
    this.name = "GrpcError";
    this.code = code;
    this.details = options.details ?? [];
  }
}

const kinds: Readonly<Record<number, ErrorKind>> = {
  1: "Cancelled",
  3: "InvalidParameter",
  4: "Deadline",
  5: "NotFound",
  6: "Conflict",
  7: "Forbidden",
  8: "Unavailable",
  9: "Conflict",
  12: "NotImplemented",
  13: "System",
  14: "Unavailable",
  15: "DataLoss",
  16: "Unauthorized",
};

function kindOf(code: number): ErrorKind {
  return kinds[code] ?? "Unknown";
}

const codesOfKinds: Readonly<Record<ErrorKind, number>> = {
  InvalidParameter: codes.invalidArgument,
  Unauthorized: codes.unauthenticated,
  Forbidden: codes.permissionDenied,
  NotFound: codes.notFound,
  NotModified: codes.failedPrecondition,
  Conflict: codes.alreadyExists,
  NotImplemented: codes.unimplemented,
  Unavailable: codes.unavailable,
  System: codes.internal,
  DataLoss: codes.dataLoss,
  Cancelled: codes.cancelled,
  Deadline: codes.deadlineExceeded,
  Unknown: codes.unknown,
};

/** Anything that was thrown, as the other end will see it. */
export function grpcErrorOf(error: unknown): GrpcError {
  if (error instanceof GrpcError) return error;
  const code = isEngineError(error) ? codesOfKinds[error.kind] : codes.unknown;
  return new GrpcError(code, messageOf(error), { cause: error });
}

/** Trailers of a call that ended so; undefined is success. */
export function statusTrailers(error: GrpcError | undefined): Readonly<Record<string, string>> {
  if (error === undefined) return { "grpc-status": "0" };
  const trailers: Record<string, string> = {
    "grpc-status": String(error.code),
    "grpc-message": escapeMessage(error.message),
  };
  if (error.details.length > 0)
    trailers["grpc-status-details-bin"] = Buffer.from(
      Status.encode({ code: error.code, message: error.message, details: error.details }),
    )
      .toString("base64")
      .replaceAll("=", "");
  return trailers;
}

/** @param header looks a trailer up @returns undefined when the call succeeded */
export function errorOfTrailers(header: (name: string) => string | undefined): GrpcError | undefined {
  const text = header("grpc-status");
  if (text === "0") return undefined;
  if (text === undefined) return new GrpcError(codes.internal, "the call ended without a status");
  const code = /^\d{1,5}$/.test(text) ? Number(text) : codes.unknown;
  const rich = header("grpc-status-details-bin");
  return new GrpcError(code, unescapeMessage(header("grpc-message") ?? ""), {
    details: rich === undefined ? [] : detailsOf(rich),
  });
}

function detailsOf(base64: string): readonly StatusDetail[] {
  try {
    return Status.decode(Buffer.from(base64, "base64")).details;
  } catch {
    // Details are an extra: the code and the message stand without them.
    return [];
  }
}

/** Bytes outside of " " to "~", and "%", as %XX of UTF-8. Source: gRPC over HTTP2, "Percent-Encoded". */
function escapeMessage(text: string): string {
  return Buffer.from(text, "utf8").reduce(
    (escaped, byte) =>
      escaped +
      (byte < 0x20 || byte > 0x7e || byte === 0x25
        ? `%${byte.toString(16).toUpperCase().padStart(2, "0")}`
        : String.fromCharCode(byte)),
    "",
  );
}

function unescapeMessage(text: string): string {
  try {
    return decodeURIComponent(text.replaceAll(/%(?![0-9A-Fa-f]{2})/g, "%25"));
  } catch {
    return text;
  }
}
