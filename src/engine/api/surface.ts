// What is refused before any handler sees it: ambiguous framing that node:http lets pass, and on TCP whatever a web page in
// somebody's browser could send (DNS rebinding by Host, cross-site requests by Origin and Sec-Fetch-Site).

import type { IncomingMessage } from "node:http";
import { isIP } from "node:net";
import { EngineError } from "../../base/errors.ts";

/** Where a connection came from; a file system permission guards "unix", nothing guards "tcp" but TLS. */
export type Transport = "unix" | "tcp";

export interface SurfaceOptions {
  /** Names that the Host header may carry on TCP, beside IP addresses and localhost. */
  readonly hostNames: readonly string[];
  /** Origins of web pages that may call on TCP, such as "https://dash.example.org". */
  readonly origins: readonly string[];
}

/**
 * @throws InvalidParameter two Host headers, an absolute or odd request target
 * @throws Forbidden        a Host or Origin on TCP that is not allowed
 */
export function checkSurface(request: IncomingMessage, transport: Transport, options: SurfaceOptions): void {
  const { rawHeaders, url = "" } = request;
  let hosts = 0;
  for (let i = 0; i < rawHeaders.length; i += 2) if (rawHeaders[i]?.toLowerCase() === "host") hosts++;
  if (hosts > 1) throw new EngineError("InvalidParameter", "the request has more than one Host header");
  if (!url.startsWith("/")) throw new EngineError("InvalidParameter", "the request target is not a path");
  if (transport === "unix") return;
  checkHost(request.headers.host ?? "", options.hostNames);
  checkOrigin(request, options.origins);
}

function checkHost(host: string, allowed: readonly string[]): void {
  const name = host.replace(/:\d+$/, "").toLowerCase();
  const bare = name.replace(/^\[(.*)\]$/, "$1");
  if (isIP(bare) !== 0 || name === "localhost" || allowed.some((each) => each.toLowerCase() === name)) return;
  throw new EngineError(
    "Forbidden",
    `the Host ${JSON.stringify(host.slice(0, 256))} is not one of this daemon's names`,
  );
}

function checkOrigin(request: IncomingMessage, allowed: readonly string[]): void {
  const { origin } = request.headers;
  const site = request.headers["sec-fetch-site"];
  if (origin !== undefined && allowed.includes(origin)) return;
  if (origin !== undefined || (site !== undefined && site !== "none"))
    throw new EngineError("Forbidden", "requests of web pages are not allowed from this origin");
}
