// HTTP/1.1 over kept connections, one agent for each host and way to it. A request ends with an answer's head, an error, or the
// time-out of its patience; bodies are read by body.ts. Invariants: where only public addresses are allowed, the address that
// was checked is the one that is connected to; a connection is never shared between ways that differ in trust.

import { type ClientRequest, Agent as HttpAgent, type IncomingMessage, request as httpRequest } from "node:http";
import { Agent as HttpsAgent, request as httpsRequest, type RequestOptions } from "node:https";
import type { Duplex } from "node:stream";
import { connect as connectTls } from "node:tls";
import { EngineError } from "../base/errors.ts";
import { bareHost, isLocalAddress, isLocalHostText, localRefusal, publicLookup } from "./address.ts";
import { refused, RegistryError } from "./errors.ts";
import { inRequest, networkError } from "./network-errors.ts";
import { openTunnel, proxyFor, proxyHeaders, type ProxySettings } from "./proxy.ts";
import { type CertificateFiles, SecureContexts } from "./tls-files.ts";

/** How far a host is trusted. */
export interface Trust {
  /** Its certificate is not looked at. */
  readonly insecure: boolean;
  readonly files: CertificateFiles;
}

export interface Call {
  readonly method: string;
  readonly url: URL;
  readonly headers: Readonly<Record<string, string>>;
  /** Bytes can be sent again when a kept connection turns out to be dead; a stream cannot. */
  readonly body?: Uint8Array | AsyncIterable<Uint8Array>;
  readonly trust: Trust;
  readonly proxies: ProxySettings;
  /** Local addresses are refused: the way there was shown by a registry that is not local. */
  readonly publicOnly: boolean;
  /** Longest wait for the head of the answer, once the request has been sent. */
  readonly timeoutMs: number;
  /** Longest wait for the other side to take more of a body that is a stream; timeoutMs without it. */
  readonly stallMs?: number;
  readonly signal: AbortSignal;
}

/** The head of an answer; its body has to be read or discarded. */
export interface Answer {
  readonly call: Call;
  readonly status: number;
  readonly statusText: string;
  readonly headers: IncomingMessage["headers"];
  readonly message: IncomingMessage;
  /** It came from a local address (or, through a proxy, from a host that is named by one). */
  readonly isLocal: boolean;
}

const maxSocketsPerHost = 32;
const maxAgents = 128;
const idleSocketMs = 15_000;

/** A header of an answer; "" when it is not there. */
export function headerOf(answer: Answer, name: string): string {
  const value = answer.headers[name];
  return typeof value === "string" ? value : (value?.join(", ") ?? "");
}

class TunnelAgent extends HttpsAgent {
  readonly #proxy: URL;
  readonly #timeoutMs: number;

  constructor(options: ConstructorParameters<typeof HttpsAgent>[0], proxy: URL, timeoutMs: number) {
    super(options);
    this.#proxy = proxy;
    this.#timeoutMs = timeoutMs;
  }

  override createConnection(
    options: RequestOptions & { readonly servername?: string },
    callback: (error: Error | null, stream: Duplex) => void,
  ): undefined {
    void this.#connect(options, callback);
    return undefined;
  }

  async #connect(options: RequestOptions, callback: (error: Error | null, stream: Duplex) => void): Promise<void> {
    let socket: Duplex;
    try {
      socket = await openTunnel(this.#proxy, options.host ?? "", Number(options.port ?? 443), this.#timeoutMs);
    } catch (error) {
      callback(error instanceof Error ? error : new Error(String(error)), undefined as unknown as Duplex);
      return;
    }
    callback(null, connectTls({ ...(options as object), socket }));
  }
}

/** The client's connections. */
export class Transport {
  readonly #agents = new Map<string, HttpAgent | HttpsAgent>();
  readonly #contexts = new SecureContexts();

  /** Closes idle connections; requests under way keep theirs. */
  close(): void {
    for (const agent of this.#agents.values())
      for (const socket of Object.values(agent.freeSockets).flatMap((sockets) => sockets ?? [])) socket.destroy();
    this.#agents.clear();
  }

  /**
   * Sends a request and waits for the head of the answer. Redirects and error statuses are answers.
   *
   * @throws Unavailable      (RegistryError) no connection, or nothing came in time
   * @throws InvalidParameter the way is refused, or certificates are wrong
   * @throws Cancelled        by the signal
   */
  async send(call: Call): Promise<Answer> {
    const { method, url, body } = call;
    if (url.protocol !== "http:" && url.protocol !== "https:")
      throw refused(`refused to follow the registry to ${url.protocol}//: only http and https are`);
    const proxy = proxyFor(url, call.proxies);
    if (call.publicOnly && isLocalHostText(bareHost(url))) throw localRefusal(bareHost(url));
    for (let attempt = 1; ; attempt++) {
      if (call.signal.aborted) throw cancelled(call.signal);
      const flight: Flight = { request: undefined, hasAnswer: false };
      try {
        return await this.#attempt(call, proxy, flight);
      } catch (error) {
        if (call.signal.aborted) throw cancelled(call.signal);
        const again = body === undefined || body instanceof Uint8Array;
        const wasDead = flight.request?.reusedSocket === true && !flight.hasAnswer && !(error instanceof EngineError);
        if (!wasDead || !again || attempt >= 3) throw networkError(method, url, error, proxy !== undefined);
      }
    }
  }

  #attempt(call: Call, proxy: URL | undefined, flight: Flight): Promise<Answer> {
    const request = this.#open(call, proxy);
    flight.request = request;
    return new Promise((resolve, reject) => {
      let timer: NodeJS.Timeout | undefined;
      const patience = (ms: number | undefined): void => {
        clearTimeout(timer);
        if (ms !== undefined && !flight.hasAnswer) timer = setTimeout(() => request.destroy(timedOut(call)), ms);
      };
      request.once("response", (message) => {
        clearTimeout(timer);
        flight.hasAnswer = true;
        const remote = message.socket.remoteAddress;
        // An answer to half a request: its connection cannot be used again.
        message.once("close", () => {
          if (!request.writableFinished) request.destroy();
        });
        resolve({
          call,
          status: message.statusCode ?? 0,
          statusText: message.statusMessage ?? "",
          headers: message.headers,
          message,
          isLocal:
            proxy === undefined ? remote !== undefined && isLocalAddress(remote) : isLocalHostText(bareHost(call.url)),
        });
      });
      request.once("upgrade", (_message, socket) => socket.destroy());
      request.once("close", () => {
        clearTimeout(timer);
        reject(new RegistryError("Unavailable", inRequest(call.method, call.url, "EOF"), { transient: true }));
      });
      // Stays for errors after the answer, which the reader of its body sees as well.
      request.on("error", (error) => {
        clearTimeout(timer);
        reject(error);
      });
      patience(call.timeoutMs);
      sendBody(request, call, flight, patience).catch((error: unknown) => {
        if (!flight.hasAnswer) request.destroy(error instanceof Error ? error : new Error(String(error)));
      });
    });
  }

  #open(call: Call, proxy: URL | undefined): ClientRequest {
    const { url } = call;
    const length = call.body instanceof Uint8Array ? { "content-length": String(call.body.length) } : {};
    const base = {
      method: call.method,
      agent: this.#agentFor(call, proxy),
      signal: call.signal,
      headers: { "accept-encoding": "identity", ...length, ...call.headers },
    };
    if (url.protocol === "http:" && proxy !== undefined) {
      if (proxy.protocol === "https:")
        return httpsRequest({
          ...base,
          host: bareHost(proxy),
          port: proxy.port === "" ? 443 : Number(proxy.port),
          path: url.href,
          headers: { host: url.host, ...base.headers, ...proxyHeaders(proxy) },
        });
      return httpRequest({
        ...base,
        host: bareHost(proxy),
        port: proxy.port === "" ? 80 : Number(proxy.port),
        path: `${url.origin}${url.pathname}${url.search}`,
        headers: { host: url.host, ...base.headers, ...proxyHeaders(proxy) },
      });
    }
    const target = {
      ...base,
      host: bareHost(url),
      ...(url.port === "" ? {} : { port: Number(url.port) }),
      path: `${url.pathname}${url.search}`,
      ...(call.publicOnly && proxy === undefined ? { lookup: publicLookup } : {}),
    };
    return url.protocol === "https:" ? httpsRequest(target) : httpRequest(target);
  }

  #agentFor(call: Call, proxy: URL | undefined): HttpAgent | HttpsAgent {
    const { trust, url, publicOnly } = call;
    const secure = url.protocol === "https:";
    const key = [
      url.origin,
      publicOnly,
      proxy?.href ?? "",
      secure ? `${trust.insecure} ${SecureContexts.fingerprint(trust.files)}` : "",
    ].join(" ");
    const known = this.#agents.get(key);
    if (known !== undefined) return known;
    const options = { keepAlive: true, maxSockets: maxSocketsPerHost, maxFreeSockets: 8, timeout: idleSocketMs };
    const agent = this.#makeAgent(options, call, proxy, secure);
    if (this.#agents.size >= maxAgents) this.close();
    this.#agents.set(key, agent);
    return agent;
  }

  #makeAgent(options: object, call: Call, proxy: URL | undefined, secure: boolean): HttpAgent | HttpsAgent {
    if (!secure) return proxy?.protocol === "https:" ? new HttpsAgent(options) : new HttpAgent(options);
    const tls = {
      ...options,
      secureContext: this.#contexts.of(call.trust.files),
      rejectUnauthorized: !call.trust.insecure,
    };
    return proxy === undefined ? new HttpsAgent(tls) : new TunnelAgent(tls, proxy, call.timeoutMs);
  }
}

interface Flight {
  request: ClientRequest | undefined;
  hasAnswer: boolean;
}

/** The end by the signal, in dockerd's words. */
export function cancelled(signal: AbortSignal): EngineError {
  return new EngineError("Cancelled", "context canceled", { cause: signal.reason });
}

function timedOut(call: Call): RegistryError {
  const text = inRequest(call.method, call.url, "net/http: timeout awaiting response headers");
  return new RegistryError("Unavailable", text, { transient: true });
}

/** Time that the source of a body takes is its own; the other side's is limited. */
async function sendBody(
  request: ClientRequest,
  call: Call,
  flight: Readonly<Flight>,
  patience: (ms: number | undefined) => void,
): Promise<void> {
  const { body } = call;
  if (body === undefined || body instanceof Uint8Array) {
    request.end(body);
    return;
  }
  for await (const chunk of body) {
    if (request.destroyed || flight.hasAnswer) return;
    patience(call.stallMs ?? call.timeoutMs);
    if (!request.write(chunk)) await drain(request);
    patience(undefined);
  }
  patience(call.timeoutMs);
  request.end();
}

function drain(request: ClientRequest): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      request.off("drain", done);
      request.off("close", done);
      request.off("response", done);
      resolve();
    };
    request.on("drain", done);
    request.on("close", done);
    request.on("response", done);
  });
}
