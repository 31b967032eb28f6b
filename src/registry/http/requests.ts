// Every request from its head to its line in the access log: route, rights, handler, errors. The log has no query and no
// header that could carry credentials.

import type { IncomingMessage, ServerResponse } from "node:http";
import { EngineError, messageOf } from "../../base/errors.ts";
import type { Logger } from "../../base/log.ts";
import { ClientGone, RegistryError } from "../errors.ts";
import { dispatch } from "../handlers/dispatch.ts";
import type { Service } from "../handlers/service.ts";
import { isDiskFull } from "../handlers/uploads.ts";
import { Exchange } from "./exchange.ts";
import { parseRoute, type Route } from "./routes.ts";

/** What the client is told; undefined when nobody is there any more. */
function answerTo(error: unknown, exchange: Exchange, logger: Logger): RegistryError | undefined {
  if (error instanceof RegistryError) return error;
  if (error instanceof ClientGone || exchange.signal.aborted) return undefined;
  if (isDiskFull(error)) {
    logger.error("the disk is full", { path: exchange.path, error: messageOf(error) });
    return new RegistryError("DENIED", "the registry's disk is full", { status: 507, cause: error });
  }
  logger.error("a request failed", {
    path: exchange.path,
    error:
      error instanceof Error && !(error instanceof EngineError) ? (error.stack ?? error.message) : messageOf(error),
  });
  return new RegistryError("UNKNOWN", "internal error", { cause: error });
}

async function serve(
  service: Service,
  exchange: Exchange,
  logger: Logger,
  setRoute: (route: Route) => void,
): Promise<void> {
  exchange.response.setHeader("Docker-Distribution-Api-Version", "registry/2.0");
  exchange.response.setHeader("X-Content-Type-Options", "nosniff");
  try {
    exchange.check();
    const route = parseRoute(exchange.path);
    if (route !== undefined) setRoute(route);
    await dispatch(service, exchange, route);
  } catch (error) {
    const answer = answerTo(error, exchange, logger);
    if (answer === undefined) exchange.response.destroy();
    else await exchange.sendError(answer);
  }
}

/** The listener for a server's requests. */
export function createListener(
  service: Service,
  logger: Logger,
): (request: IncomingMessage, response: ServerResponse) => void {
  return (request, response) => {
    const started = performance.now();
    const { socket } = request;
    const sentBefore = socket.bytesWritten;
    const exchange = new Exchange(request, response);
    let kind = "none";
    response.once("close", () => {
      const sent = socket.bytesWritten - sentBefore;
      const { statusCode } = response;
      // 499: the client went before it was answered.
      const status = response.headersSent ? statusCode : 499;
      service.metrics.countRequest(exchange.method, kind, status, exchange.received, sent);
      logger.info("request", {
        method: exchange.method,
        path: exchange.path.slice(0, 1000),
        status,
        complete: response.writableFinished,
        received: exchange.received,
        sent,
        ms: Math.round(performance.now() - started),
        remote: socket.remoteAddress,
        user: exchange.identity.user,
        agent: request.headers["user-agent"]?.slice(0, 200),
      });
    });
    void serve(service, exchange, logger, (route) => {
      kind = route.kind;
    }).catch((error: unknown) => {
      logger.error("an answer failed", { error: messageOf(error) });
      response.destroy();
    });
  };
}
