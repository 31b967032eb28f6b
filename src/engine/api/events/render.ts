// Events as clients of every version up to 1.51 get them: `status`, `id` and `from` are there for those of API 1.21 and older
// ways of reading, on containers and images alone.

import type { EventMessage } from "../../../spec/docker/system.ts";

export function renderEvent(event: EventMessage): unknown {
  const { Type, Action, Actor } = event;
  if (Type === "image") return { status: Action, id: Actor?.ID, ...event };
  if (Type === "container") return { status: Action, id: Actor?.ID, from: Actor?.Attributes?.["image"], ...event };
  return event;
}
