// The face of the event room: announcements after the fact; nobody in the engine steers by them.

import type { EventsPort } from "../api/ports.ts";

export interface EventInput {
  readonly type: "container" | "image" | "network" | "volume" | "daemon";
  readonly action: string;
  readonly id: string;
  readonly attributes: Readonly<Record<string, string>>;
}

export interface Events extends EventsPort {
  publish(event: EventInput): void;
  /** Subscriptions that are open. */
  listenerCount(): number;
}
