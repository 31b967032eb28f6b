// Puts the API on its sockets, as --host and the TLS flags say.

import { readFileSync } from "node:fs";
import { createServer, type Server } from "node:net";
import { hostname } from "node:os";
import { createServer as createTlsServer, type TlsOptions } from "node:tls";
import { EngineError, messageOf } from "../../base/errors.ts";
import type { Logger } from "../../base/log.ts";
import { type ApiServer, createApiServer } from "../api/index.ts";
import type { Engine } from "../api/ports.ts";
import type { DaemonConfig } from "./config.ts";
import { listen } from "./listeners.ts";

function readKeyFile(path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (error) {
    throw new EngineError("InvalidParameter", `could not load TLS file ${path}: ${messageOf(error)}`, { cause: error });
  }
}

function tlsOptions(tls: DaemonConfig["tls"]): TlsOptions {
  return {
    cert: readKeyFile(tls.certFile),
    key: readKeyFile(tls.keyFile),
    minVersion: "TLSv1.2",
    allowHalfOpen: true,
    ...(tls.verify ? { ca: readKeyFile(tls.caFile), requestCert: true, rejectUnauthorized: true } : {}),
  };
}

/**
 * Listens on every address, or on none: a failure closes what was opened.
 *
 * @throws Conflict         an address is taken
 * @throws InvalidParameter a TLS file cannot be read, the socket's group does not exist
 */
export async function serveApi(
  engine: Engine,
  config: DaemonConfig,
  productVersion: string,
  logger: Logger,
): Promise<ApiServer> {
  const api = createApiServer(engine, { productVersion, log: logger, hostNames: [hostname()] });
  const tls = config.tls.enabled ? tlsOptions(config.tls) : undefined;
  const makeServer = (tcp: boolean): Server => {
    const server =
      tcp && tls !== undefined
        ? createTlsServer(tls).on("tlsClientError", (error) => {
            logger.debug("TLS handshake failed", { error: messageOf(error) });
          })
        : createServer({ allowHalfOpen: true });
    api.serve(server, tcp ? "tcp" : "unix");
    return server;
  };
  try {
    for (const host of config.hosts) {
      const { group, groupRequired } = config;
      await listen(host, makeServer, { group, groupRequired, logger });
      logger.info("API listen on", { address: host });
    }
  } catch (error) {
    await api.close(0);
    throw error;
  }
  return api;
}
