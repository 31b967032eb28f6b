// Questions for the world outside. The first server has a short head start, the others join it, and whoever answers well
// first is taken; what no server answers ends after a while. All of it is bounded, so that no client takes what others need.

import { rcode, type Query } from "./query.ts";
import type { Transport } from "./reply.ts";
import { askServer, type Cancel } from "./upstream.ts";

const headStartMs = 300;
/** Below the five seconds after which resolvers ask again. */
const patienceMs = 4000;
const perClientMax = 128;
const inAllMax = 1024;
/** A server that was silent comes after the others for so long. */
const avoidMs = 15_000;
const serversMax = 8;

interface Started {
  readonly server: string;
  readonly atMs: number;
  cancel: Cancel;
  running: boolean;
}

export class Forwarder {
  readonly #perClient = new Map<string, number>();
  readonly #ends = new Set<(reply: Buffer | undefined) => void>();
  readonly #silentAt = new Map<string, number>();
  #inFlight = 0;

  /**
   * Asks outside. False: too many questions are on their way already, and nothing will be told.
   *
   * @param client whose bound it counts against
   * @param told   the reply, as a server sent it; undefined when none came in time
   */
  ask(
    client: string,
    query: Query,
    transport: Transport,
    servers: readonly string[],
    told: (reply: Buffer | undefined) => void,
  ): boolean {
    const mine = this.#perClient.get(client) ?? 0;
    if (mine >= perClientMax || this.#inFlight >= inAllMax) return false;
    this.#perClient.set(client, mine + 1);
    this.#inFlight++;
    this.#run(query, transport, this.#inOrder(servers), (reply) => {
      const left = (this.#perClient.get(client) ?? 1) - 1;
      if (left > 0) this.#perClient.set(client, left);
      else this.#perClient.delete(client);
      this.#inFlight--;
      told(reply);
    });
    return true;
  }

  close(): void {
    for (const end of this.#ends) end(undefined);
  }

  /** As given, but those that were silent lately last. */
  #inOrder(servers: readonly string[]): readonly string[] {
    const now = performance.now();
    const isSilent = (server: string): boolean => now - (this.#silentAt.get(server) ?? -Infinity) < avoidMs;
    const known = [...new Set(servers)].slice(0, serversMax);
    return [...known.filter((server) => !isSilent(server)), ...known.filter(isSilent)];
  }

  #run(
    query: Query,
    transport: Transport,
    servers: readonly string[],
    told: (reply: Buffer | undefined) => void,
  ): void {
    const waiting = [...servers];
    const started: Started[] = [];
    let fallback: Buffer | undefined;
    let headStart: NodeJS.Timeout | undefined;

    const end = (reply: Buffer | undefined): void => {
      if (!this.#ends.delete(end)) return;
      clearTimeout(patience);
      clearTimeout(headStart);
      for (const { running, cancel } of started) if (running) cancel();
      this.#noteSilence(started);
      told(reply);
    };
    const next = (): void => {
      clearTimeout(headStart);
      const server = waiting.shift();
      if (server === undefined) {
        if (started.every(({ running }) => !running)) end(fallback);
        return;
      }
      const one: Started = { server, atMs: performance.now(), cancel: () => {}, running: true };
      started.push(one);
      if (waiting.length > 0) headStart = setTimeout(next, headStartMs);
      one.cancel = askServer(server, query, transport, (reply) => {
        one.running = false;
        if (reply === undefined) return next();
        this.#silentAt.delete(server);
        if (isWell(reply)) return end(reply);
        fallback ??= reply;
        next();
      });
    };

    this.#ends.add(end);
    const patience = setTimeout(() => end(fallback), patienceMs);
    next();
  }

  #noteSilence(started: readonly Started[]): void {
    const now = performance.now();
    for (const { server, atMs, running } of started)
      if (running && now - atMs >= headStartMs) this.#silentAt.set(server, now);
    if (this.#silentAt.size > 1024) this.#silentAt.clear();
  }
}

/** An answer, or that there is none: not that this server cannot or will not say. */
function isWell(reply: Buffer): boolean {
  const code = (reply[3] ?? 0) & 15;
  return code === 0 || code === rcode.nxDomain;
}
