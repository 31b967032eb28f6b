// /containers/{id}: logs, attach (hijacked and over a WebSocket) and wait, whose answers last.

import { pipeline } from "node:stream/promises";
import { messageOf } from "../../../base/errors.ts";
import type { ContainerId } from "../../../base/ids.ts";
import { parseDetachKeys } from "../detach-keys.ts";
import { Endless, type Exchange, sendJson } from "../exchange.ts";
import { multiplexedStream, pump, rawStream, streamContentType, takeOver } from "../hijack.ts";
import type { AttachSession, ContainersPort } from "../ports.ts";
import { type Route, route } from "../router.ts";
import { renderStreamError } from "../status.ts";
import { FrameStripper, renderFrame } from "../stdcopy.ts";
import { acceptWebSocket, checkWebSocket } from "../websocket.ts";
import { parseAttach, parseLogs, parseWait } from "./parse.ts";

export function containerStreamRoutes(
  containers: ContainersPort,
  of: (exchange: Exchange) => ContainerId,
): readonly Route[] {
  return [
    route("GET", "/containers/{id}/logs", (exchange) => sendLogs(exchange, containers, () => of(exchange))),
    route("POST", "/containers/{id}/attach", async (exchange) => {
      const detachKeys = parseDetachKeys(exchange.query.text("detachKeys"));
      const request = parseAttach(exchange.query);
      const session = await containers.attach(of(exchange), request, exchange.signal);
      if (leaveIfGone(exchange, session)) return;
      const { connection, early } = takeOver(exchange, streamContentType(session.tty, exchange));
      await pump(connection, session, {
        early,
        output: session.duplex,
        detachKeys: session.tty && request.stdin ? detachKeys : undefined,
        stdin: request.stdin,
        signal: exchange.draining,
        log: exchange.log,
      });
    }),
    route("GET", "/containers/{id}/attach/ws", async (exchange) => {
      const detachKeys = parseDetachKeys(exchange.query.text("detachKeys"));
      const request = parseAttach(exchange.query);
      const id = of(exchange);
      checkWebSocket(exchange);
      const session = await containers.attach(id, request, exchange.signal);
      if (leaveIfGone(exchange, session)) return;
      const connection = await acceptWebSocket(exchange);
      await pump(connection, session, {
        early: Buffer.alloc(0),
        output: session.tty ? session.duplex : session.duplex.pipe(new FrameStripper()),
        detachKeys: session.tty && request.stdin ? detachKeys : undefined,
        stdin: request.stdin,
        signal: exchange.draining,
        log: exchange.log,
      });
    }),
    route("POST", "/containers/{id}/wait", (exchange) => sendExit(exchange, containers, () => of(exchange))),
  ];
}

/** A client that hung up while its session was being made leaves nothing behind. */
function leaveIfGone(exchange: Exchange, session: AttachSession): boolean {
  if (!exchange.signal.aborted) return false;
  session.detach(false);
  session.duplex.destroy();
  return true;
}

async function sendLogs(exchange: Exchange, containers: ContainersPort, of: () => ContainerId): Promise<void> {
  const request = parseLogs(exchange.query);
  const id = of();
  using endless = new Endless(exchange);
  // Without follow the answer has an end, and a client that closed its sending side may read it.
  const signal = request.follow ? endless.signal : exchange.signal;
  const { tty, stream } = await containers.logs(id, request, signal);
  const contentType = !tty && exchange.minor >= 42 ? multiplexedStream : rawStream;
  const response = exchange.reply.stream(200, { "Content-Type": contentType });
  try {
    await pipeline(stream, response, { signal, end: false });
  } catch (error) {
    if (signal.aborted || response.destroyed) {
      response.destroy();
      return;
    }
    exchange.log.warn("reading a container's log failed", { error: messageOf(error) });
    const text = `Error grabbing logs: ${messageOf(error)}\n`;
    response.write(tty ? text : renderFrame(3, text));
  }
  response.end();
}

async function sendExit(exchange: Exchange, containers: ContainersPort, of: () => ContainerId): Promise<void> {
  const condition = parseWait(exchange);
  using endless = new Endless(exchange);
  const { result } = await containers.wait(of(), condition, endless.signal);
  if (exchange.minor < 30) {
    const { StatusCode } = await result;
    sendJson(exchange, 200, { StatusCode });
    return;
  }
  const response = exchange.reply.stream(200, { "Content-Type": "application/json" });
  try {
    response.end(`${JSON.stringify(await result)}\n`);
  } catch (error) {
    if (endless.signal.aborted) response.destroy();
    else response.end(renderStreamError(error));
  }
}
