// Which events a subscriber wants: dockerd's filters. A key without values lets everything pass; values of one key are
// alternatives; keys are joined by "and". Source: Engine API 1.51, GET /events, and the behaviour of dockerd 28.5.

import type { EventMessage } from "../../spec/docker/system.ts";
import type { Filters } from "../api/ports.ts";

/** Types whose objects are found by a prefix of their id or name. */
const namedTypes = [
  "container",
  "plugin",
  "volume",
  "network",
  "daemon",
  "node",
  "service",
  "secret",
  "config",
] as const;

/** Events whose action carries a command after a colon: the bare word is wanted to match them all. */
const prefixActions = ["exec_create", "exec_start", "health_status"];

/** True when the event passes all filters; unknown keys are ignored, as dockerd does. */
export function matchesEvent(event: EventMessage, filters: Filters): boolean {
  if (filters.size === 0) return true;
  const attributes = event.Actor?.Attributes ?? {};
  const id = event.Actor?.ID ?? "";
  return (
    matchesAction(event.Action ?? "", filters.get("event")) &&
    exact(event.Type ?? "", filters.get("type")) &&
    exact(event.scope ?? "", filters.get("scope")) &&
    namedTypes.every((type) => {
      const wanted = filters.get(type);
      if (wanted === undefined || wanted.length === 0) return true;
      return event.Type === type && (prefix(id, wanted) || prefix(attributes["name"] ?? "", wanted));
    }) &&
    matchesImage(event, filters.get("image")) &&
    matchesLabels(attributes, filters.get("label"))
  );
}

function matchesAction(action: string, wanted: readonly string[] | undefined): boolean {
  return wanted?.some((value) => prefixActions.includes(value)) === true
    ? prefix(action, wanted)
    : exact(action, wanted);
}

function matchesImage(event: EventMessage, wanted: readonly string[] | undefined): boolean {
  if (wanted === undefined || wanted.length === 0) return true;
  const id = event.Actor?.ID ?? "";
  const name = event.Actor?.Attributes?.[event.Type === "image" ? "name" : "image"] ?? "";
  return [id, name, withoutTag(id), withoutTag(name)].some((value) => exact(value, wanted));
}

function matchesLabels(attributes: Readonly<Record<string, string>>, wanted: readonly string[] | undefined): boolean {
  return (wanted ?? []).every((label) => {
    const at = label.indexOf("=");
    return at < 0 ? label in attributes : attributes[label.slice(0, at)] === label.slice(at + 1);
  });
}

function exact(value: string, wanted: readonly string[] | undefined): boolean {
  return wanted === undefined || wanted.length === 0 || wanted.includes(value);
}

function prefix(value: string, wanted: readonly string[]): boolean {
  return wanted.some((start) => value.startsWith(start));
}

/** "busybox:latest" → "busybox"; a colon before the last slash belongs to a registry's port. */
function withoutTag(reference: string): string {
  const colon = reference.lastIndexOf(":");
  return colon > reference.lastIndexOf("/") ? reference.slice(0, colon) : reference;
}
