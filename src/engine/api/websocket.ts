// attach over a WebSocket (RFC 6455): binary messages both ways, output without frame headers.

import type { Duplex } from "node:stream";
import { EngineError } from "../../base/errors.ts";
import type { Exchange } from "./exchange.ts";

/** Largest message that a client may send. */
const maxMessageBytes = 1024 * 1024;

/** @throws InvalidParameter the request is no WebSocket handshake; call it before anything is opened */
export function checkWebSocket(exchange: Exchange): void {
  const { headers } = exchange.request;
  if (!exchange.upgrade || headers.upgrade?.toLowerCase() !== "websocket")
    throw new EngineError("InvalidParameter", "not websocket protocol");
  if (headers["sec-websocket-version"] !== "13")
    throw new EngineError("InvalidParameter", "missing or bad WebSocket Version");
  if (!/^[A-Za-z0-9+/]{22}==$/.test(headers["sec-websocket-key"] ?? ""))
    throw new EngineError("InvalidParameter", "mismatch challenge/response");
}

/** Answers the handshake; the stream carries payloads as binary messages. */
export async function acceptWebSocket(exchange: Exchange): Promise<Duplex> {
  // Only now: it brings TLS and an HTTP client with it, a tenth of the daemon's start.
  const { createWebSocketStream, WebSocketServer } = await import("ws");
  const { promise, resolve } = Promise.withResolvers<Duplex>();
  const { connection, early } = exchange.reply.takeOver("");
  const server = new WebSocketServer({
    noServer: true,
    clientTracking: false,
    perMessageDeflate: false,
    maxPayload: maxMessageBytes,
  });
  server.handleUpgrade(exchange.request, connection, early, (socket) => {
    const stream = createWebSocketStream(socket);
    // A WebSocket has no half-closed state: when it is closed nothing goes either way.
    socket.on("close", () => stream.destroy());
    resolve(stream);
  });
  return promise;
}
