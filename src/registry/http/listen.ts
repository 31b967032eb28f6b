// The socket that clients reach: HTTP, or HTTPS with certificates that are read again when they change. Bounds: 64 KiB of
// headers within 30 s, a minute of silence, 4096 connections; there is no bound on how long a body may take as long as it moves.

import { createServer, type RequestListener, type Server } from "node:http";
import { createServer as createTlsServer, type Server as TlsServer } from "node:https";
import type { AddressInfo } from "node:net";
import { readFileSync } from "node:fs";
import { createSecureContext, type SecureContextOptions } from "node:tls";
import { EngineError, errnoOf, messageOf } from "../../base/errors.ts";
import type { Logger } from "../../base/log.ts";

export interface TlsFiles {
  readonly certFile: string;
  readonly keyFile: string;
  /** Clients must have a certificate of one of these authorities. */
  readonly clientCaFile: string | undefined;
}

export interface ListenOptions {
  readonly host: string;
  /** 0 for any. */
  readonly port: number;
  readonly tls: TlsFiles | undefined;
  /** Plain HTTP on addresses that others can reach. */
  readonly plainHttp: boolean;
}

export interface Listening {
  /** "http://127.0.0.1:5000" */
  readonly url: string;
  /** Reads the certificates again. Failing leaves those that are in use. */
  reload(): void;
  /** Takes no new requests; those under way may go on for so long. */
  close(graceMs: number): Promise<void>;
}

const bounds = {
  maxHeaderSize: 64 << 10,
  headersTimeout: 30_000,
  requestTimeout: 0,
  keepAliveTimeout: 75_000,
  insecureHTTPParser: false,
} as const;
const idleMs = 60_000;
const maxConnections = 4096;
const certificateCheckMs = 30_000;

/** True for addresses that only this host reaches. */
export function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || /^127\.\d{1,3}\.\d{1,3}\.\d{1,3}$/.test(host);
}

function readSecrets(files: TlsFiles): SecureContextOptions {
  try {
    const options = {
      cert: readFileSync(files.certFile),
      key: readFileSync(files.keyFile),
      minVersion: "TLSv1.2",
      ...(files.clientCaFile === undefined ? {} : { ca: readFileSync(files.clientCaFile) }),
    } as const;
    createSecureContext(options);
    return options;
  } catch (cause) {
    throw new EngineError("InvalidParameter", `cannot use the TLS files: ${messageOf(cause)}`, { cause });
  }
}

function makeServer(
  options: ListenOptions,
  listener: RequestListener,
): { server: Server | TlsServer; setSecrets?: (secrets: SecureContextOptions) => void } {
  if (options.tls === undefined) return { server: createServer(bounds, listener) };
  const server = createTlsServer(
    {
      ...bounds,
      ...readSecrets(options.tls),
      ...(options.tls.clientCaFile === undefined ? {} : { requestCert: true, rejectUnauthorized: true }),
      handshakeTimeout: 30_000,
    },
    listener,
  );
  return { server, setSecrets: (secrets) => server.setSecureContext(secrets) };
}

async function start(server: Server | TlsServer, host: string, port: number): Promise<number> {
  const { promise, reject, resolve } = Promise.withResolvers<void>();
  server.once("error", reject);
  server.listen({ host, port }, resolve);
  try {
    await promise;
  } catch (cause) {
    const why = errnoOf(cause) === "EADDRINUSE" ? "another process listens there" : messageOf(cause);
    throw new EngineError("Conflict", `cannot listen on ${host}:${port}: ${why}`, { cause });
  }
  server.removeListener("error", reject);
  return (server.address() as AddressInfo).port;
}

/**
 * @throws InvalidParameter plain HTTP was asked for on an address that others reach, or the TLS files are none
 * @throws Conflict         the address is taken
 */
export async function listen(options: ListenOptions, listener: RequestListener, logger: Logger): Promise<Listening> {
  const { host, tls } = options;
  if (tls === undefined && !options.plainHttp && !isLoopback(host))
    throw new EngineError(
      "InvalidParameter",
      `refusing to serve plain HTTP on ${host}: give --tls-cert and --tls-key, or --plain-http behind a proxy that has TLS`,
    );
  const { server, setSecrets } = makeServer(options, listener);
  server.maxConnections = maxConnections;
  server.setTimeout(idleMs);
  // A body is asked for only when its handler wants it.
  server.on("checkContinue", listener);
  const port = await start(server, host, options.port);
  server.on("error", (error) => logger.error("the listener failed", { error: messageOf(error) }));

  let secrets = tls === undefined ? undefined : JSON.stringify(readSecrets(tls));
  function reload(): void {
    if (tls === undefined || setSecrets === undefined) return;
    try {
      const read = readSecrets(tls);
      if (JSON.stringify(read) === secrets) return;
      setSecrets(read);
      secrets = JSON.stringify(read);
      logger.info("the TLS files were read again");
    } catch (error) {
      logger.error("the TLS files are not usable, those before stay", { error: messageOf(error) });
    }
  }
  const timer = tls === undefined ? undefined : setInterval(reload, certificateCheckMs).unref();

  return {
    url: `${tls === undefined ? "http" : "https"}://${host.includes(":") ? `[${host}]` : host}:${port}`,
    reload,
    async close(graceMs) {
      clearInterval(timer);
      const { promise, resolve } = Promise.withResolvers<void>();
      server.close(() => resolve());
      server.closeIdleConnections();
      const force = setTimeout(() => server.closeAllConnections(), graceMs);
      // Connections fall idle one after the other.
      const sweep = setInterval(() => server.closeIdleConnections(), 200);
      await promise;
      clearTimeout(force);
      clearInterval(sweep);
    },
  };
}
