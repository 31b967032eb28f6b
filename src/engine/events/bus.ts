// The event bus: the last events in a ring, live ones in a bounded queue per subscriber. Publishing never waits and never
// throws: a subscriber that does not read loses events, and the log says so.

import type { Logger } from "../../base/log.ts";
import type { EventMessage } from "../../spec/docker/system.ts";
import type { Filters } from "../api/ports.ts";
import { matchesEvent } from "./filter.ts";
import type { EventInput, Events } from "./index.ts";

/** dockerd keeps 256 events for `since`. */
const historyLength = 1024;
const queueLength = 4096;

type Subscription = Parameters<Events["subscribe"]>[0];

interface Subscriber {
  readonly filters: Filters;
  readonly queue: TimedEvent[];
  wake: () => void;
  dropped: number;
}

interface TimedEvent {
  readonly ns: bigint;
  readonly message: EventMessage;
}

/** @param nowNs the wall clock, nanoseconds since 1970 */
export function createEventBus(logger: Logger, nowNs: () => bigint = wallClockNs): Events {
  const history: TimedEvent[] = [];
  const subscribers = new Set<Subscriber>();
  let lastNs = 0n;

  const publish = (input: EventInput): void => {
    // Two events never carry the same time, or the order would be lost to clients that sort.
    const now = nowNs();
    lastNs = now > lastNs ? now : lastNs + 1n;
    const event: TimedEvent = { ns: lastNs, message: renderEvent(input, lastNs) };
    history.push(event);
    if (history.length > historyLength) history.shift();
    for (const subscriber of subscribers) {
      if (!matchesEvent(event.message, subscriber.filters)) continue;
      if (subscriber.queue.length < queueLength) {
        subscriber.queue.push(event);
        subscriber.wake();
      } else if (subscriber.dropped++ === 0) {
        logger.warn("a client reads events too slowly: events are dropped for it", { queue: queueLength });
      }
    }
  };

  async function* follow(
    subscriber: Subscriber,
    request: Subscription,
    signal: AbortSignal,
  ): AsyncGenerator<EventMessage> {
    const timeout = new AbortController();
    const stop = AbortSignal.any([signal, timeout.signal]);
    const onStop = (): void => subscriber.wake();
    stop.addEventListener("abort", onStop);
    const cancel = request.untilNs === undefined ? undefined : abortAt(timeout, request.untilNs, nowNs);
    try {
      for (;;) {
        const next = subscriber.queue.shift();
        if (next !== undefined) {
          if (request.untilNs !== undefined && next.ns > request.untilNs) return;
          yield next.message;
        } else if (stop.aborted) {
          return;
        } else {
          await new Promise<void>((resolve) => {
            subscriber.wake = resolve;
          });
          subscriber.wake = () => {};
        }
      }
    } finally {
      cancel?.();
      stop.removeEventListener("abort", onStop);
      subscribers.delete(subscriber);
    }
  }

  return {
    publish,
    listenerCount: () => subscribers.size,
    subscribe(request, signal) {
      // The subscription begins with the call, not with the first read: nothing falls between history and live.
      const past = history.filter(
        ({ ns, message }) =>
          ((request.sinceNs !== undefined && ns >= request.sinceNs) ||
            (request.sinceNs === undefined && request.untilNs !== undefined)) &&
          (request.untilNs === undefined || ns <= request.untilNs) &&
          matchesEvent(message, request.filters),
      );
      const subscriber: Subscriber = { filters: request.filters, queue: past, wake: () => {}, dropped: 0 };
      subscribers.add(subscriber);
      // Also when the iteration never begins.
      signal.addEventListener("abort", () => subscribers.delete(subscriber), { once: true });
      const iterator = follow(subscriber, request, signal);
      return { [Symbol.asyncIterator]: () => iterator };
    },
  };
}

/** The event as clients read it; containers and images carry the fields of the first API versions too. */
export function renderEvent(input: EventInput, ns: bigint): EventMessage {
  const from = input.type === "container" ? input.attributes["image"] : undefined;
  const legacy =
    input.type === "container" || input.type === "image"
      ? { status: input.action, id: input.id, ...(from === undefined ? {} : { from }) }
      : {};
  const attributes = Object.fromEntries(Object.entries(input.attributes).sort(([a], [b]) => (a < b ? -1 : 1)));
  return {
    ...legacy,
    Type: input.type,
    Action: input.action,
    Actor: { ID: input.id, Attributes: attributes },
    scope: "local",
    time: Number(ns / 1_000_000_000n),
    // Beyond 2^53: the last two digits are lost, which no client needs; the order is kept in the stream.
    timeNano: Number(ns),
  };
}

function wallClockNs(): bigint {
  return BigInt(Math.floor(performance.timeOrigin * 1000 + performance.now() * 1000)) * 1000n;
}

/** Aborts when the wall clock reads `ns`; long waits are cut into days, the most a timer can hold. */
function abortAt(controller: AbortController, ns: bigint, nowNs: () => bigint): () => void {
  let timer: NodeJS.Timeout | undefined;
  const arm = (): void => {
    const leftMs = Number((ns - nowNs()) / 1_000_000n);
    if (leftMs <= 0) controller.abort();
    else timer = setTimeout(arm, Math.min(leftMs, 86_400_000));
  };
  arm();
  return () => clearTimeout(timer);
}
