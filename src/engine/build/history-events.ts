// Events of a build as lines of JSON: times are decimal texts, bytes base64. Reading tolerates what an earlier version wrote.

import type { BuildEvent } from "./progress.ts";

const times = new Set(["at", "startedAt", "completedAt"]);

export function renderEvents(events: readonly BuildEvent[]): string {
  const plain = (_: string, value: unknown): unknown => (typeof value === "bigint" ? value.toString() : value);
  return events
    .map((event) => (event.kind === "log" ? { ...event, data: Buffer.from(event.data).toString("base64") } : event))
    .map((event) => JSON.stringify(event, plain))
    .join("\n");
}

function revive(this: unknown, key: string, value: unknown): unknown {
  return times.has(key) && typeof value === "string" && /^\d+$/.test(value) ? BigInt(value) : value;
}

/** A line that cannot be read is left out. */
export function parseEvents(text: string): readonly BuildEvent[] {
  return text.split("\n").flatMap((line): readonly BuildEvent[] => {
    if (line === "") return [];
    try {
      const event = JSON.parse(line, revive) as BuildEvent;
      if (event.kind !== "log") return [event];
      return [{ ...event, data: Buffer.from(event.data as unknown as string, "base64") }];
    } catch {
      return [];
    }
  });
}
