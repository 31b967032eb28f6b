// JSON bodies: at most 4 MiB, of the right Content-Type, no longer silent than a minute. Texts as dockerd's httputils.

import type { IncomingMessage } from "node:http";
import { EngineError } from "../../base/errors.ts";
import type { Exchange } from "./exchange.ts";
import { parseJson, type JsonValue } from "./json.ts";
import { decodeObject, type ObjectSchema } from "./schema.ts";

export const maxBodyBytes = 4 * 1024 * 1024;
/** A client that sends nothing of its body for so long is cut off. */
const bodyIdleMs = 60_000;

/**
 * The body as a schema's object.
 *
 * @param root   name of the Go type in errors
 * @param empty  "refused" when there must be a body, "allowed" when none means an empty object
 * @throws InvalidParameter wrong Content-Type, no JSON, wrong types, too large
 */
export async function readObject(
  exchange: Exchange,
  schema: ObjectSchema,
  root: string,
  empty: "refused" | "allowed",
): Promise<Readonly<Record<string, unknown>>> {
  const value = await readJson(exchange.request, empty);
  return value === undefined ? {} : decodeObject(schema, value, root);
}

async function readJson(request: IncomingMessage, empty: "refused" | "allowed"): Promise<JsonValue | undefined> {
  const length = request.headers["content-length"];
  const hasBody = request.headers["transfer-encoding"] !== undefined || (length !== undefined && Number(length) > 0);
  if (hasBody) checkContentType(request.headers["content-type"] ?? "");
  const text = hasBody ? await readText(request) : "";
  if (text !== "") return parseJson(text, "invalid JSON: ");
  if (empty === "allowed") return undefined;
  throw new EngineError("InvalidParameter", "invalid JSON: got EOF while reading request body");
}

function checkContentType(value: string): void {
  const [type = "", ...parameters] = value.split(";");
  const media = type.trim().toLowerCase();
  if (media === "")
    throw new EngineError("InvalidParameter", `malformed Content-Type header (${value}): mime: no media type`);
  if (!parameters.every((parameter) => /^\s*[\w!#$%&'*+.^`|~-]+\s*=\s*("[^"]*"|[^\s";]+)\s*$/.test(parameter)))
    throw new EngineError(
      "InvalidParameter",
      `malformed Content-Type header (${value}): mime: invalid media parameter`,
    );
  if (media !== "application/json")
    throw new EngineError("InvalidParameter", `unsupported Content-Type header (${media}): must be 'application/json'`);
}

async function readText(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  request.setTimeout(bodyIdleMs, () => request.destroy(new EngineError("Deadline", "the request body did not arrive")));
  try {
    // Not destroyed when it is left early: the reply still has to go out on the same connection.
    for await (const chunk of request.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
      size += chunk.length;
      if (size > maxBodyBytes)
        throw new EngineError("InvalidParameter", `the request body is larger than ${maxBodyBytes} bytes`);
      chunks.push(chunk);
    }
  } finally {
    if (!request.destroyed) request.setTimeout(0);
  }
  return Buffer.concat(chunks, size).toString("utf8");
}
