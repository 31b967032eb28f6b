// The face of the API room: the Docker Engine API 1.24 to 1.51 over an Engine.

import type { Server, Socket } from "node:net";
import { type Logger, silentLogger } from "../../base/log.ts";
import { grpcRoutes } from "./build/grpc.ts";
import { buildRoutes } from "./build/routes.ts";
import { containerRoutes } from "./containers/routes.ts";
import { eventRoutes } from "./events/routes.ts";
import { execRoutes } from "./execs/routes.ts";
import { registryRoutes } from "./images/registry.ts";
import { imagePruneRoutes } from "./images/prune.ts";
import { archiveRoutes } from "./images/archives.ts";
import { imageRoutes } from "./images/routes.ts";
import { connectRoutes } from "./networks/connect.ts";
import { networkRoutes } from "./networks/routes.ts";
import type { Engine } from "./ports.ts";
import { Router } from "./router.ts";
import { HttpServer } from "./server.ts";
import type { Transport } from "./surface.ts";
import { diskUsageRoutes } from "./system/disk-usage.ts";
import { systemRoutes } from "./system/routes.ts";
import { unsupportedRoutes } from "./unsupported.ts";
import { maxApiVersion } from "./version.ts";
import { volumeHistoryRoutes } from "./volumes/history.ts";
import { volumeRoutes } from "./volumes/routes.ts";

export type { Transport } from "./surface.ts";

export interface ApiServerOptions {
  /** Gantry's own version, for the Server header. */
  readonly productVersion: string;
  readonly log?: Logger;
  /** Names of this host that clients may write into Host on TCP, beside IP addresses and localhost. */
  readonly hostNames?: readonly string[];
  /** Origins of web pages that may call on TCP. */
  readonly origins?: readonly string[];
  /** How long a client may take to send a request's header; 30 s unless given. */
  readonly headersTimeoutMs?: number;
  /** 1,024 unless given; further connections are turned away with 503. */
  readonly maxConnections?: number;
}

export interface ApiServer {
  /**
   * Answers on a listener that the caller made, listening or not yet: a net.Server, or a tls.Server that demands client
   * certificates. Make it with `allowHalfOpen: true`: docker closes its side of attached streams to end stdin.
   */
  serve(listener: Server, transport: Transport): void;
  /** Answers on one connection. */
  handleConnection(socket: Socket, transport: Transport): void;
  /**
   * Stops accepting, ends what would last for ever (attach, events, wait, logs of a running container: their containers do
   * not notice), waits up to `graceMs` for the other requests, and cuts what is left.
   */
  close(graceMs: number): Promise<void>;
}

export function createApiServer(engine: Engine, options: ApiServerOptions): ApiServer {
  const router = new Router([
    ...systemRoutes(engine),
    ...eventRoutes(engine),
    ...execRoutes(engine),
    ...containerRoutes(engine),
    ...unsupportedRoutes(),
    ...registryRoutes(engine),
    ...archiveRoutes(engine),
    ...imageRoutes(engine),
    ...imagePruneRoutes(engine),
    ...diskUsageRoutes(engine),
    ...buildRoutes(engine),
    ...grpcRoutes(engine),
    ...networkRoutes(engine),
    ...connectRoutes(engine),
    // Before the others: names of volumes may have slashes.
    ...volumeHistoryRoutes(engine),
    ...volumeRoutes(engine),
  ]);
  return new HttpServer(router, {
    commonHeaders: {
      "Api-Version": maxApiVersion,
      "Docker-Experimental": "false",
      Ostype: "linux",
      Server: `Gantry/${options.productVersion} (linux)`,
    },
    log: options.log ?? silentLogger,
    hostNames: options.hostNames ?? [],
    origins: options.origins ?? [],
    maxConnections: options.maxConnections ?? 1_024,
    serveHttp2: (connection) => engine.build.serveGrpc(connection),
    headersTimeoutMs: options.headersTimeoutMs ?? 30_000,
  });
}
