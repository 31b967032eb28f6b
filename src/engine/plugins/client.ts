// One request to a plugin: POST /Method with JSON, one JSON document back. What is not reached is tried again, as a plugin
// may be just starting; what answers badly is not. Time and size of an answer are bounded: a plugin is another's program.
//
//   POST /VolumeDriver.Get                                     HTTP/1.1 200 OK
//   Accept: application/vnd.docker.plugins.v1.2+json           {"Volume": {"Name": "v", "Mountpoint": "/x"}, "Err": ""}
//   {"Name": "v"}
//
// Source: docs.docker.com, "Docker Plugin API"; headers and pauses as dockerd 28.5 has them.

import { readFile } from "node:fs/promises";
import { type IncomingMessage, request } from "node:http";
import { type RequestOptions, request as requestTls } from "node:https";
import { isIP } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { EngineError, errnoOf, isEngineError, messageOf } from "../../base/errors.ts";
import type { Logger } from "../../base/log.ts";
import { type PluginAddress, type PluginTls, showAddress } from "./address.ts";
import { readMember } from "./answers.ts";
import type { PluginTiming } from "./timing.ts";

const maxAnswerBytes = 1_048_576;
/** Of a List: some ten thousand volumes. */
const maxListBytes = 16 * maxAnswerBytes;
const maxErrorText = 1000;

export interface PluginClientDeps {
  /** Asked before every attempt: a plugin may come back somewhere else. @returns undefined it is nowhere */
  readonly find: () => Promise<PluginAddress | undefined>;
  readonly name: string;
  readonly timing: PluginTiming;
  readonly logger: Logger;
  /** Ends everything under way. */
  readonly signal: AbortSignal;
}

export interface CallOptions {
  /** For the whole of one answer. */
  readonly timeoutMs: number;
  /** Tried once only: for questions that can do without this plugin. */
  readonly once?: boolean;
}

/** The plugin could not be reached, or the connection broke before it answered: another attempt may help. */
interface Unreached {
  readonly unreached: string;
  readonly cause: unknown;
}

type Outcome = Unreached | { readonly status: number; readonly text: string };

/** errno → Go's words for it, which is what people look for. */
const words: Readonly<Record<string, string>> = {
  ENOENT: "connect: no such file or directory",
  ECONNREFUSED: "connect: connection refused",
  EACCES: "connect: permission denied",
  ECONNRESET: "connection reset by peer",
  EPIPE: "broken pipe",
  EHOSTUNREACH: "connect: no route to host",
  ENETUNREACH: "connect: network is unreachable",
  ETIMEDOUT: "connect: connection timed out",
  ENOTFOUND: "connect: no such host",
  EAI_AGAIN: "connect: temporary failure in name resolution",
};

export class PluginClient {
  readonly #deps: PluginClientDeps;
  /** It was given up: asked once only until it answers again, so that nobody waits for a dead one twice. */
  #givenUp = false;
  #lastAddress: PluginAddress | undefined;

  constructor(deps: PluginClientDeps) {
    this.#deps = deps;
  }

  /**
   * Asks, and resolves with the parsed answer of status 200.
   *
   * @param method "VolumeDriver.Create"
   * @throws System it cannot be reached, does not answer in time, answers too much, no JSON, or another status; Cancelled
   */
  async call(method: string, body: unknown, options: CallOptions): Promise<unknown> {
    const { name, timing, logger, signal } = this.#deps;
    const start = performance.now();
    for (let pauseMs = timing.firstPauseMs; ; pauseMs *= 2) {
      const outcome = await this.#attempt(method, body, options.timeoutMs);
      if (!("unreached" in outcome)) {
        this.#givenUp = false;
        return readAnswer(method, outcome);
      }
      const late = performance.now() - start + pauseMs >= timing.giveUpMs;
      if (options.once === true || this.#givenUp || late) {
        if (late) this.#givenUp = true;
        throw new EngineError("System", outcome.unreached, { cause: outcome.cause });
      }
      logger.warn("plugin cannot be reached", { plugin: name, error: outcome.unreached, "next attempt ms": pauseMs });
      await sleep(pauseMs, undefined, { signal }).catch((error: unknown) => {
        throw new EngineError("Cancelled", "the daemon is stopping", { cause: error });
      });
    }
  }

  async #attempt(method: string, body: unknown, timeoutMs: number): Promise<Outcome> {
    const { find, name, signal } = this.#deps;
    const address = (await find()) ?? this.#lastAddress;
    if (address === undefined) return { unreached: `plugin ${JSON.stringify(name)} not found`, cause: undefined };
    this.#lastAddress = address;
    const limit = method.endsWith(".List") ? maxListBytes : maxAnswerBytes;
    try {
      const tls = address.kind === "tcp" && address.tls !== undefined ? await readTls(address.tls, address.host) : {};
      const { connectMs } = this.#deps.timing;
      return await exchange({ method, body, timeoutMs, connectMs, address, tls, limit, signal });
    } catch (error) {
      if (isEngineError(error)) throw error;
      // Certificates and keys that are none make the request itself throw.
      throw new EngineError("System", `plugin ${JSON.stringify(name)}: ${messageOf(error)}`, { cause: error });
    }
  }
}

/** What tls.connect takes. */
type TlsOptions = Pick<RequestOptions, "ca" | "cert" | "key" | "rejectUnauthorized" | "servername">;

async function readTls(tls: PluginTls, host: string): Promise<TlsOptions> {
  const read = async (path: string | undefined): Promise<Buffer | undefined> => {
    try {
      return path === undefined ? undefined : await readFile(path);
    } catch (error) {
      throw new EngineError("System", `could not load TLS file of a plugin: ${messageOf(error)}`, { cause: error });
    }
  };
  return {
    rejectUnauthorized: !tls.insecureSkipVerify,
    ca: await read(tls.caFile),
    cert: await read(tls.certFile),
    key: await read(tls.keyFile),
    ...(isIP(host) === 0 ? { servername: host } : {}),
  };
}

interface Exchange {
  readonly method: string;
  readonly body: unknown;
  readonly timeoutMs: number;
  readonly connectMs: number;
  readonly address: PluginAddress;
  /** Empty where there is none. */
  readonly tls: TlsOptions;
  /** Bytes of the answer. */
  readonly limit: number;
  readonly signal: AbortSignal;
}

/** One attempt. @throws System too late, too large; Cancelled */
function exchange(what: Exchange): Promise<Outcome> {
  const { method, address, limit, signal } = what;
  const { promise, resolve, reject } = Promise.withResolvers<Outcome>();
  const payload = what.body === undefined ? "" : JSON.stringify(what.body);
  const common = {
    method: "POST",
    path: `/${method}`,
    agent: false,
    headers: {
      accept: "application/vnd.docker.plugins.v1.2+json",
      "content-length": Buffer.byteLength(payload),
      ...(address.kind === "unix" ? { host: "plugin.moby.localhost" } : {}),
    },
  };
  const call =
    address.kind === "unix"
      ? request({ ...common, socketPath: address.path })
      : (address.tls === undefined ? request : requestTls)({
          ...common,
          host: address.host,
          port: address.port,
          ...what.tls,
        });
  // The answer is over, or it failed: nothing that still happens on the connection counts.
  const end = (settle: () => void): void => {
    clearTimeout(timer);
    clearTimeout(connecting);
    signal.removeEventListener("abort", abort);
    settle();
    call.destroy();
  };
  const failed = (kind: "System" | "Cancelled", text: string): void => end(() => reject(new EngineError(kind, text)));
  const broken = (error: unknown): void => {
    const text = describeBreak(method, address, error);
    // Certificates that are not believed, and what is no HTTP, stay so.
    if (errnoOf(error) !== undefined && words[errnoOf(error) ?? ""] === undefined) failed("System", text);
    else end(() => resolve({ unreached: text, cause: error }));
  };
  const abort = (): void => failed("Cancelled", "the daemon is stopping");
  const timer = setTimeout(
    () => failed("System", `${method}: the plugin has not answered within ${Math.ceil(what.timeoutMs / 1000)} s`),
    what.timeoutMs,
  );
  const connecting = setTimeout(
    () => broken(Object.assign(new Error("connect timed out"), { code: "ETIMEDOUT" })),
    what.connectMs,
  );
  call.on("socket", (socket) => socket.once("connect", () => clearTimeout(connecting)));
  signal.addEventListener("abort", abort, { once: true });
  if (signal.aborted) abort();
  call.on("error", broken);
  call.on("close", () => broken(new Error("EOF")));
  call.on("response", (response: IncomingMessage) => {
    const chunks: Buffer[] = [];
    let bytes = 0;
    response.on("data", (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes > limit) failed("System", `${method}: the plugin's answer is larger than ${limit / 1_048_576} MiB`);
      else chunks.push(chunk);
    });
    response.on("error", () => failed("System", `${method}: the plugin's answer broke off`));
    response.on("aborted", () => failed("System", `${method}: the plugin's answer broke off`));
    response.on("end", () =>
      end(() => resolve({ status: response.statusCode ?? 0, text: Buffer.concat(chunks).toString("utf8") })),
    );
  });
  call.end(payload);
  return promise;
}

function describeBreak(method: string, address: PluginAddress, error: unknown): string {
  const host = address.kind === "unix" ? "plugin.moby.localhost" : showAddress(address).slice("tcp ".length);
  const scheme = address.kind === "tcp" && address.tls !== undefined ? "https" : "http";
  const reason = words[errnoOf(error) ?? ""] ?? messageOf(error);
  const dial = reason.startsWith("connect: ") ? `dial ${showAddress(address)}: ` : "";
  return `Post "${scheme}://${host}/${method}": ${dial}${reason}`;
}

function readAnswer(method: string, answer: { readonly status: number; readonly text: string }): unknown {
  let value: unknown;
  let complaint: string | undefined;
  try {
    value = JSON.parse(answer.text);
  } catch (error) {
    complaint = messageOf(error).slice(0, 200);
  }
  if (answer.status !== 200) {
    const said = readMember(value, "Err");
    const text = typeof said === "string" && said !== "" ? said : answer.text.trim();
    throw new EngineError(
      "System",
      `${method}: ${text === "" ? `the plugin answered with status ${answer.status}` : text.slice(0, maxErrorText)}`,
    );
  }
  if (complaint !== undefined)
    throw new EngineError("System", `${method}: the plugin's answer is no JSON: ${complaint}`);
  return value;
}
