// Failures as the distribution API tells them: a status, a code, a message. The body is {"errors":[{code,message,detail}]}.
// Source: OCI Distribution 1.1, "Error codes"; the codes beyond it are those of Docker's registry.

const statuses = {
  BLOB_UNKNOWN: 404,
  BLOB_UPLOAD_INVALID: 400,
  BLOB_UPLOAD_UNKNOWN: 404,
  DENIED: 403,
  DIGEST_INVALID: 400,
  MANIFEST_BLOB_UNKNOWN: 400,
  MANIFEST_INVALID: 400,
  MANIFEST_UNKNOWN: 404,
  NAME_INVALID: 400,
  NAME_UNKNOWN: 404,
  PAGINATION_NUMBER_INVALID: 400,
  RANGE_INVALID: 416,
  SIZE_INVALID: 400,
  TAG_INVALID: 400,
  TOOMANYREQUESTS: 429,
  UNAUTHORIZED: 401,
  UNAVAILABLE: 503,
  UNKNOWN: 500,
  UNSUPPORTED: 405,
} as const;

export type ErrorCode = keyof typeof statuses;

/** A refusal or failure that is told to the client. */
export class RegistryError extends Error {
  readonly code: ErrorCode;
  readonly status: number;
  /** Sent with the answer. */
  readonly headers: Readonly<Record<string, string>>;
  /** Shown as the error's detail. */
  readonly detail: unknown;

  /** @param options.status in place of the code's own */
  constructor(
    code: ErrorCode,
    message: string,
    options: {
      readonly status?: number;
      readonly headers?: Readonly<Record<string, string>>;
      readonly detail?: unknown;
      readonly cause?: unknown;
    } = {},
  ) {
    super(message, { cause: options.cause });
    this.name = "RegistryError";
    this.code = code;
    this.status = options.status ?? statuses[code];
    this.headers = options.headers ?? {};
    this.detail = options.detail;
  }
}

/** The connection of a request broke in its body: nobody is there to be answered. */
export class ClientGone extends Error {
  constructor(cause: unknown) {
    super("the client broke off the request", { cause });
    this.name = "ClientGone";
  }
}

/** The JSON body of an error. */
export function renderError(error: RegistryError): string {
  const { code, message, detail } = error;
  return `${JSON.stringify({ errors: [{ code, message, ...(detail === undefined ? {} : { detail }) }] })}\n`;
}
