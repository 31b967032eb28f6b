// One download over http or https: redirects followed within bounds, time and size bounded, proxies of the daemon's environment used.

import { createHash } from "node:crypto";
import { createWriteStream } from "node:fs";
import { type ClientRequest, type IncomingMessage, request as httpRequest } from "node:http";
import { request as httpsRequest } from "node:https";
import { pipeline } from "node:stream/promises";
import { connect as tlsConnect } from "node:tls";
import type { Digest } from "../../../base/digest.ts";
import { EngineError, messageOf } from "../../../base/errors.ts";
import { openTunnel, type ProxySettings, proxyFor, proxyHeaders } from "../../../distribution/proxy.ts";

export interface DownloadRequest {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  /** The file is written anew. */
  readonly path: string;
  readonly maxBytes: number;
  readonly proxies: ProxySettings;
  onBytes(current: number, total: number): void;
}

export type DownloadResult =
  | { readonly kind: "unchanged" }
  | {
      readonly kind: "downloaded";
      readonly digest: Digest;
      readonly size: number;
      readonly etag: string | undefined;
      readonly lastModified: string | undefined;
      readonly disposition: string | undefined;
      /** After redirects. */
      readonly url: URL;
    };

const mostRedirects = 10;
/** Nothing may come for this long. */
const idleMs = 60_000;
const redirects = new Set([301, 302, 303, 307, 308]);

/**
 * @throws NotFound, Unauthorized, Forbidden, Unavailable by the answer's status; InvalidParameter an address that is none, a redirect
 *   to something else than http; System it is too large
 */
export async function download(wanted: DownloadRequest, signal: AbortSignal): Promise<DownloadResult> {
  let url = parseHttpUrl(wanted.url);
  let headers = { ...wanted.headers };
  for (let redirected = 0; ; redirected++) {
    const answer = await open(url, headers, wanted.proxies, signal);
    const status = answer.statusCode ?? 0;
    const location = answer.headers.location;
    if (redirects.has(status) && location !== undefined) {
      answer.destroy();
      if (redirected >= mostRedirects)
        throw new EngineError("Unavailable", `${shown(url)}: stopped after ${mostRedirects} redirects`);
      if (!URL.canParse(location, url)) throw new EngineError("Unavailable", `${shown(url)}: invalid redirect`);
      const next = parseHttpUrl(new URL(location, url).href);
      if (next.origin !== url.origin) {
        const { authorization: _gone, ...rest } = headers;
        headers = rest;
      }
      url = next;
      continue;
    }
    if (status === 304) {
      answer.destroy();
      return { kind: "unchanged" };
    }
    if (status !== 200) {
      answer.destroy();
      throw new EngineError(kindOf(status), `failed to load ${shown(url)}: invalid response status ${status}`);
    }
    return await save(answer, url, wanted, signal);
  }
}

/** @throws InvalidParameter not an address of http or https */
export function parseHttpUrl(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || (url.protocol !== "http:" && url.protocol !== "https:") || url.hostname === "")
    throw new EngineError(
      "InvalidParameter",
      `invalid URL ${JSON.stringify(text.replace(/\/\/[^/@]*@/, "//").slice(0, 300))}`,
    );
  return url;
}

function kindOf(status: number): "NotFound" | "Unauthorized" | "Forbidden" | "Unavailable" {
  if (status === 404 || status === 410) return "NotFound";
  if (status === 401) return "Unauthorized";
  return status === 403 ? "Forbidden" : "Unavailable";
}

/** Without user, password and query: those may be secret. */
function shown(url: URL): string {
  return `${url.protocol}//${url.host}${url.pathname}`;
}

async function open(
  url: URL,
  given: Readonly<Record<string, string>>,
  proxies: ProxySettings,
  signal: AbortSignal,
): Promise<IncomingMessage> {
  const headers: Record<string, string> = {
    "user-agent": "gantry",
    accept: "*/*",
    "accept-encoding": "identity",
    ...given,
  };
  if (url.username !== "" || url.password !== "")
    headers["authorization"] =
      `Basic ${Buffer.from(`${decodeURIComponent(url.username)}:${decodeURIComponent(url.password)}`).toString("base64")}`;
  const proxy = proxyFor(url, proxies);
  const secure = url.protocol === "https:";
  const port = url.port === "" ? (secure ? 443 : 80) : Number(url.port);
  const host = url.hostname.replace(/^\[|\]$/g, "");
  const path = url.pathname + url.search;
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
  let request: ClientRequest;
  if (proxy !== undefined && secure) {
    const tunnel = await openTunnel(proxy, host, port, idleMs);
    const createConnection = () => tlsConnect({ socket: tunnel, servername: host });
    request = httpsRequest({ host, port, path, headers, agent: false, signal, createConnection });
  } else if (proxy !== undefined) {
    Object.assign(headers, proxyHeaders(proxy), { host: url.host });
    const through = proxy.protocol === "https:" ? httpsRequest : httpRequest;
    request = through({
      host: proxy.hostname,
      port: proxy.port === "" ? 80 : Number(proxy.port),
      path: `http://${url.host}${path}`,
      headers,
      agent: false,
      signal,
    });
  } else request = (secure ? httpsRequest : httpRequest)({ host, port, path, headers, agent: false, signal });
  request.setTimeout(idleMs, () =>
    request.destroy(new EngineError("Deadline", `${shown(url)}: nothing came for ${idleMs / 1000} s`)),
  );
  request.once("response", resolve);
  request.once("error", reject);
  request.end();
  try {
    return await promise;
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof EngineError) throw error;
    throw new EngineError("Unavailable", `failed to load ${shown(url)}: ${messageOf(error)}`, { cause: error });
  }
}

async function save(
  answer: IncomingMessage,
  url: URL,
  wanted: DownloadRequest,
  signal: AbortSignal,
): Promise<DownloadResult> {
  const total = Number(answer.headers["content-length"] ?? 0) || 0;
  const tooLarge = () => new EngineError("System", `${shown(url)} is larger than ${wanted.maxBytes} bytes`);
  const hash = createHash("sha256");
  let size = 0;
  try {
    if (total > wanted.maxBytes) throw tooLarge();
    await pipeline(
      answer,
      async function* measured(chunks: AsyncIterable<Buffer>) {
        for await (const chunk of chunks) {
          size += chunk.length;
          if (size > wanted.maxBytes) throw tooLarge();
          hash.update(chunk);
          wanted.onBytes(size, total);
          yield chunk;
        }
      },
      createWriteStream(wanted.path, { mode: 0o600 }),
      { signal },
    );
  } catch (error) {
    answer.destroy();
    signal.throwIfAborted();
    if (error instanceof EngineError) throw error;
    throw new EngineError("Unavailable", `failed to load ${shown(url)}: ${messageOf(error)}`, { cause: error });
  }
  return {
    kind: "downloaded",
    digest: `sha256:${hash.digest("hex")}` as Digest,
    size,
    etag: answer.headers.etag,
    lastModified: answer.headers["last-modified"],
    disposition: answer.headers["content-disposition"],
    url,
  };
}
