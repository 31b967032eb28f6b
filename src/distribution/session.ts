// Requests to one endpoint: the first asks GET /v2/ for its challenges, all carry what those demand, redirects are followed,
// and a 401 is answered once with renewed rights.

import { Authorizer } from "./authorizer.ts";
import { discard, readErrorBody } from "./body.ts";
import { parseChallenges } from "./challenge.ts";
import { type Endpoint, urlOf } from "./endpoint.ts";
import { EngineError } from "../base/errors.ts";
import { errorOfAnswer, RegistryError } from "./errors.ts";
import type { Credentials, DistributionConfig } from "./index.ts";
import { inRequest, isBreak } from "./network-errors.ts";
import { parseLocation, sendFollowing, withoutCredentials } from "./redirect.ts";
import { noCertificateFiles, readCertificateFiles } from "./tls-files.ts";
import { basicAuthorization, type TokenCache } from "./token.ts";
import { type Answer, type Call, headerOf, type Transport, type Trust } from "./transport.ts";

/** A registry wants a password and there is none. dockerd's words. */
export const missingPassword = "no basic auth credentials";

export interface SessionDeps {
  readonly transport: Transport;
  readonly tokens: TokenCache;
  readonly config: DistributionConfig;
}

/** A request below an endpoint. */
export interface EndpointRequest {
  readonly method: string;
  /** Below /v2/, or a URL that the registry named. */
  readonly target: string | URL;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Uint8Array | AsyncIterable<Uint8Array>;
  readonly scopes: readonly string[];
  /** How many stall time-outs the registry may think about its answer; 1 by default. */
  readonly patience?: number;
}

/** What a session is for. */
export interface SessionPurpose {
  readonly endpoint: Endpoint;
  /** "host:port" of the endpoint, for certs.d. */
  readonly credentials: Credentials | undefined;
  readonly offline: boolean;
}

export class Session {
  readonly endpoint: Endpoint;
  readonly #deps: SessionDeps;
  readonly #trust: Trust;
  readonly #authorizer: Authorizer;
  readonly #credentials: Credentials | undefined;
  #pinged: Promise<void> | undefined;
  /** The registry has answered from a local address. */
  #isLocal = false;
  /** The last refresh token that came with a token; "" for none. */
  refreshToken = "";

  /** @throws InvalidParameter certificates of the host are wrong */
  constructor(deps: SessionDeps, purpose: SessionPurpose) {
    const { endpoint, credentials } = purpose;
    const { config } = deps;
    this.endpoint = endpoint;
    this.#deps = deps;
    this.#credentials = credentials;
    this.#trust = {
      insecure: endpoint.insecure,
      files:
        endpoint.url.protocol === "https:"
          ? readCertificateFiles(config.certsDirectories, endpoint.url.host)
          : noCertificateFiles,
    };
    this.#authorizer = new Authorizer({
      tokens: deps.tokens,
      registry: endpoint.url,
      credentials,
      insecure: endpoint.insecure,
      trustOf: (url) => this.#trustOf(url),
      base: { proxies: config, timeoutMs: config.stallTimeoutMs, userAgent: config.userAgent },
      offline: purpose.offline,
    });
  }

  /** Hosts that the registry names: its own CAs count for them too, its client certificate does not. */
  #trustOf(url: URL): Trust {
    if (url.origin === this.endpoint.url.origin) return this.#trust;
    if (url.protocol !== "https:") return { insecure: this.endpoint.insecure, files: noCertificateFiles };
    const own = readCertificateFiles(this.#deps.config.certsDirectories, url.host);
    const { authorities, directory } = this.#trust.files;
    return {
      insecure: this.endpoint.insecure,
      files: {
        authorities: [...own.authorities, ...authorities],
        certificates: own.certificates,
        directory: own.directory || directory,
      },
    };
  }

  /** The URL that a Location of this registry names. @throws InvalidParameter refused */
  locate(location: string): URL {
    return parseLocation(location, this.endpoint.url, this.endpoint.insecure);
  }

  /**
   * Finds out whether the endpoint is there, and what it asks for; once, whoever asks.
   *
   * @throws Unavailable not reached
   */
  async ping(signal: AbortSignal): Promise<void> {
    for (;;) {
      const pending = (this.#pinged ??= this.#ping(signal));
      try {
        return await pending;
      } catch (error) {
        if (this.#pinged === pending) this.#pinged = undefined;
        const othersEnd = error instanceof EngineError && error.kind === "Cancelled" && !signal.aborted;
        if (!othersEnd) throw error;
      }
    }
  }

  async #ping(signal: AbortSignal): Promise<void> {
    try {
      const answer = await this.#send({ method: "GET", target: "", scopes: [] }, undefined, signal);
      this.#learn(answer);
      discard(answer);
    } catch (error) {
      // Who does not answer at all is told at once, as dockerd does; a broken connection may be an accident.
      if (error instanceof RegistryError && error.transient && !isBreak(error)) throw error.lasting();
      throw error;
    }
  }

  #learn(answer: Answer): void {
    this.#isLocal = answer.isLocal;
    const header = answer.status === 401 ? headerOf(answer, "www-authenticate") : "";
    this.#authorizer.learn(parseChallenges(header), answer.isLocal);
  }

  #send(request: EndpointRequest, authorization: string | undefined, signal: AbortSignal): Promise<Answer> {
    const { config, transport } = this.#deps;
    const url = request.target instanceof URL ? request.target : urlOf(this.endpoint, request.target);
    const ours = url.origin === this.endpoint.url.origin;
    const headers = {
      "user-agent": config.userAgent,
      ...request.headers,
      ...(authorization === undefined ? {} : { authorization }),
    };
    const call: Call = {
      method: request.method,
      url,
      headers: ours ? headers : withoutCredentials(headers),
      ...(request.body === undefined ? {} : { body: request.body }),
      trust: this.#trustOf(url),
      proxies: config,
      publicOnly: !ours && !this.#isLocal,
      timeoutMs: config.stallTimeoutMs * (request.patience ?? 1),
      stallMs: config.stallTimeoutMs,
      signal,
    };
    return sendFollowing(transport, call, this.endpoint.insecure, (to) => this.#trustOf(to));
  }

  async #authorize(request: EndpointRequest, refused: string | undefined, signal: AbortSignal) {
    try {
      const authorization = await this.#authorizer.authorize(request.scopes, refused, signal);
      if (authorization.refreshToken !== "") this.refreshToken = authorization.refreshToken;
      return authorization;
    } catch (error) {
      if (!(error instanceof RegistryError)) throw error;
      const url = request.target instanceof URL ? request.target : urlOf(this.endpoint, request.target);
      throw error.restated(inRequest(request.method, url, error.message));
    }
  }

  /**
   * Sends a request; every answer is one, also errors. A body that is a stream is not sent again after a 401.
   *
   * @throws Unavailable      not reached
   * @throws Unauthorized     the token service refuses, or a password is asked for and there is none
   * @throws InvalidParameter a redirect or realm is refused
   */
  async request(request: EndpointRequest, signal: AbortSignal): Promise<Answer> {
    await this.ping(signal);
    const first = await this.#authorize(request, undefined, signal);
    const answer = await this.#send(request, first.header, signal);
    if (answer.status !== 401 || answer.call.url.origin !== this.endpoint.url.origin) return answer;
    this.#learn(answer);
    if (this.#authorizer.lacksPassword) {
      discard(answer);
      throw new RegistryError("Unauthorized", missingPassword, { status: 401 });
    }
    const isFinal = (this.#credentials?.registryToken ?? "") !== "";
    const isStream = request.body !== undefined && !(request.body instanceof Uint8Array);
    if (isFinal || isStream) return answer;
    const second = await this.#authorize(request, first.bearer, signal);
    if (second.header === undefined || second.header === first.header) return answer;
    discard(answer);
    return await this.#send(request, second.header, signal);
  }

  /** A request outside /v2/: no ping before it, a password with it where there is one, challenges are not followed. */
  requestPlain(request: EndpointRequest, signal: AbortSignal): Promise<Answer> {
    return this.#send(request, basicAuthorization(this.#credentials), signal);
  }

  /** As request, and turns every status but those expected into an error. */
  async expect(statuses: readonly number[], request: EndpointRequest, signal: AbortSignal): Promise<Answer> {
    const answer = await this.request(request, signal);
    if (statuses.includes(answer.status)) return answer;
    throw errorOfAnswer({ ...answer, body: await readErrorBody(answer, this.stallMs) });
  }

  get stallMs(): number {
    return this.#deps.config.stallTimeoutMs;
  }
}
