// POST /grpc and POST /session: connections that change to HTTP/2. On the first the client calls the daemon, on the second the
// daemon calls the client. Source: moby's session and grpc routes, which buildx dials.

import type { Duplex } from "node:stream";
import { EngineError } from "../../../base/errors.ts";
import type { Exchange } from "../exchange.ts";
import type { Engine } from "../ports.ts";
import { type Route, route } from "../router.ts";

const head = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n";

export function grpcRoutes(engine: Engine): readonly Route[] {
  const { build } = engine;
  return [
    route("POST", "/grpc", (exchange) => takeOver(exchange, (connection) => build.serveGrpc(connection))),
    route("POST", "/session", (exchange) => {
      const { headers } = exchange.request;
      if ((headers["x-docker-expose-session-uuid"] ?? "") === "")
        throw new EngineError("InvalidParameter", "the session has no id: X-Docker-Expose-Session-Uuid is missing");
      return takeOver(exchange, (connection) => build.serveSession(connection, headers));
    }),
  ];
}

/** Resolves when the connection is gone. The end of the server ends it. */
async function takeOver(exchange: Exchange, serve: (connection: Duplex) => void): Promise<void> {
  const { headers } = exchange.request;
  if (!exchange.upgrade) throw new EngineError("InvalidParameter", "no upgrade proto in request");
  if (headers.upgrade?.toLowerCase() !== "h2c")
    throw new EngineError("InvalidParameter", `protocol ${headers.upgrade ?? ""} not supported: use h2c`);
  const { connection, early } = exchange.reply.takeOver(head);
  if (early.length > 0) connection.unshift(early);
  await serveUntilGone(connection, serve, exchange.draining);
}

/** Hands a connection over. Resolves when it is gone; aborting destroys it. */
export async function serveUntilGone(
  connection: Duplex,
  serve: (connection: Duplex) => void,
  signal: AbortSignal,
): Promise<void> {
  const { promise: gone, resolve } = Promise.withResolvers<void>();
  const onAbort = (): void => void connection.destroy();
  connection.once("close", resolve);
  connection.on("error", () => {});
  signal.addEventListener("abort", onAbort, { once: true });
  try {
    serve(connection);
    if (signal.aborted) onAbort();
    if (!connection.destroyed) await gone;
  } catch (error) {
    // The head has gone out: what is wrong can only be told by the connection's end.
    connection.destroy(error instanceof Error ? error : undefined);
    throw error;
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}
