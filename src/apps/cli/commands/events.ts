// `gantry events`: a line per event, as text, JSON or by template. Source: the docker CLI 28.

import { parseJson } from "../../../client/json.ts";
import { followEvents } from "../../../client/system.ts";
import type { EventMessage } from "../../../spec/docker/system.ts";
import { CliError, type Command } from "../command.ts";
import { escapeCell } from "../escape.ts";
import { filterFlag, filtersOf } from "../filter-flag.ts";
import { compileTemplate, noValue, TemplateError } from "../format/template.ts";
import { renderJson } from "../format/template-functions.ts";
import { objectFormatFlag } from "../format-flag.ts";
import { renderTimestamp } from "../timestamp.ts";

function localTime(timeNano: number | bigint): string {
  const ns = BigInt(timeNano);
  const date = new Date(Number(ns / 1_000_000n));
  const two = (value: number): string => value.toString().padStart(2, "0");
  const offset = -date.getTimezoneOffset();
  const zone =
    offset === 0
      ? "Z"
      : `${offset < 0 ? "-" : "+"}${two(Math.trunc(Math.abs(offset) / 60))}:${two(Math.abs(offset) % 60)}`;
  const fraction = (ns % 1_000_000_000n).toString().padStart(9, "0");
  const day = `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
  return `${day}T${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}.${fraction}${offset === 0 ? "Z" : zone}`;
}

/** "TIME TYPE ACTION ID (key=value, …)" with the attributes sorted. */
export function renderEvent(event: EventMessage): string {
  const time = event.timeNano ?? (event.time ?? 0) * 1e9;
  const attributes = Object.entries(event.Actor?.Attributes ?? {})
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, value]) => `${escapeCell(key)}=${escapeCell(value)}`);
  const tail = attributes.length === 0 ? "" : ` (${attributes.join(", ")})`;
  return `${localTime(time)} ${event.Type ?? ""} ${escapeCell(event.Action ?? "")} ${event.Actor?.ID ?? ""}${tail}`;
}

export const command: Command = {
  usage: "[OPTIONS]",
  flags: [
    filterFlag("Show only what fits these conditions", "f"),
    { name: "format", kind: "string", usage: objectFormatFlag.usage },
    { name: "since", kind: "string", usage: "Show events from this time on" },
    { name: "until", kind: "string", usage: "Show events up to this time" },
  ],
  args: { min: 0, max: 0 },
  async run(context, flags) {
    const format = flags.string("format") === "json" ? "{{json .}}" : flags.string("format");
    let render = renderEvent;
    if (format !== "") {
      try {
        const template = compileTemplate(format, { missing: (path) => legacyMember(path) });
        render = (event) => template.execute(withLegacy(event));
      } catch (error) {
        if (error instanceof TemplateError)
          throw new CliError(`Error parsing format: ${error.message}`, { exitCode: 64 });
        throw error;
      }
    }
    const events = followEvents(context.client, {
      since: timeOf(flags.string("since")),
      until: timeOf(flags.string("until")),
      filters: filtersOf(flags),
    });
    for await (const event of events) await context.out(`${render(event)}\n`);
    return 0;
  },
};

/** Durations are made absolute here; the daemon understands the rest. */
function timeOf(text: string): string | undefined {
  return text === "" ? undefined : timestampOrText(text);
}

function timestampOrText(text: string): string {
  try {
    return renderTimestamp(text, Date.now());
  } catch {
    return text;
  }
}

function legacyMember(path: string): unknown {
  return path.startsWith("Actor.Attributes.")
    ? noValue
    : ["Status", "ID", "From", "Scope"].includes(path)
      ? ""
      : undefined;
}

/** Templates may use Go's member names for what JSON spells differently. */
function withLegacy(event: EventMessage): unknown {
  const raw = parseJson(renderJson(event)) as Record<string, unknown>;
  for (const [name, key] of [
    ["Scope", "scope"],
    ["Time", "time"],
    ["TimeNano", "timeNano"],
    ["Status", "status"],
    ["ID", "id"],
    ["From", "from"],
  ] as const)
    Object.defineProperty(raw, name, { value: raw[key], enumerable: false });
  return raw;
}
