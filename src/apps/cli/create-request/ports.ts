// --publish and --expose: "[[ip:][host]:]container[/protocol]" with ranges, or "published=…,target=…,protocol=…".
// Source: the docker CLI 28 and go-connections' nat package (behaviour only).

import { isIP } from "node:net";
import type { PortBinding } from "../../../spec/docker/container.ts";
import { parseCsvRecord } from "./csv.ts";
import { ValueError } from "./values.ts";

/** What the API calls ExposedPorts and PortBindings. */
export interface ParsedPorts {
  readonly exposed: Readonly<Record<string, Record<string, never>>>;
  readonly bindings: Readonly<Record<string, readonly PortBinding[]>>;
}

function parsePort(text: string): number | undefined {
  return /^\d+$/.test(text) && Number(text) <= 65535 ? Number(text) : undefined;
}

function parseRange(text: string): readonly [number, number] | undefined {
  const [low = "", high = low, ...more] = text.split("-");
  const start = parsePort(low);
  const end = parsePort(high);
  return more.length > 0 || start === undefined || end === undefined || end < start ? undefined : [start, end];
}

/** The long form as the short one. */
function shorten(text: string): string {
  const fields = new Map<string, string>();
  for (const field of parseCsvRecord(text)) {
    const at = field.indexOf("=");
    if (at < 0) throw new ValueError(`invalid field: ${field}`);
    const key = field.slice(0, at);
    if (!["published", "target", "protocol", "mode"].includes(key)) throw new ValueError(`invalid field key ${key}`);
    fields.set(key, field.slice(at + 1));
  }
  const target = fields.get("target");
  if (target === undefined) throw new ValueError(`missing mandatory field 'target': ${text}`);
  return `${fields.has("published") ? `${fields.get("published")}:` : ""}${target}/${fields.get("protocol") ?? "tcp"}`;
}

function splitSpec(text: string): { ip: string; host: string; container: string; protocol: string } {
  const slash = text.lastIndexOf("/");
  const protocol = slash < 0 ? "tcp" : text.slice(slash + 1).toLowerCase();
  const rest = slash < 0 ? text : text.slice(0, slash);
  const last = rest.lastIndexOf(":");
  const container = rest.slice(last + 1);
  if (last < 0) return { ip: "", host: "", container, protocol };
  const before = rest.slice(0, last);
  const middle = before.lastIndexOf(":");
  const inBrackets = before.endsWith("]");
  const host = inBrackets ? "" : before.slice(middle + 1);
  const ip = inBrackets ? before : middle < 0 ? "" : before.slice(0, middle);
  return { ip: ip.replace(/^\[(.*)\]$/, "$1"), host, container, protocol };
}

function publish(
  text: string,
  exposed: Record<string, Record<string, never>>,
  bindings: Record<string, PortBinding[]>,
): void {
  const { ip, host, container, protocol } = splitSpec(text.includes("=") ? shorten(text) : text);
  if (ip !== "" && isIP(ip) === 0) throw new ValueError(`invalid IP address: ${ip}`);
  if (container === "") throw new ValueError(`no port specified: ${text}<empty>`);
  const inner = parseRange(container);
  if (inner === undefined) throw new ValueError(`invalid containerPort: ${container}`);
  const outer = host === "" ? undefined : parseRange(host);
  if (host !== "" && outer === undefined) throw new ValueError(`invalid hostPort: ${host}`);
  if (!["tcp", "udp", "sctp"].includes(protocol)) throw new ValueError(`invalid proto: ${protocol}`);
  const [start, end] = inner;
  const isOneToRange = outer !== undefined && start === end && outer[0] !== outer[1];
  if (outer !== undefined && !isOneToRange && outer[1] - outer[0] !== end - start)
    throw new ValueError(`invalid ranges specified for container and host Ports: ${container} and ${host}`);
  for (let port = start; port <= end; port++) {
    const key = `${port}/${protocol}`;
    exposed[key] = {};
    const hostPort = outer === undefined ? "" : isOneToRange ? host : String(outer[0] + port - start);
    bindings[key] = [...(bindings[key] ?? []), { HostIp: ip, HostPort: hostPort }];
  }
}

/** @throws Error the complaint */
export function parsePorts(published: readonly string[], exposes: readonly string[]): ParsedPorts {
  const exposed: Record<string, Record<string, never>> = {};
  const bindings: Record<string, PortBinding[]> = {};
  for (const text of published) publish(text, exposed, bindings);
  for (const text of exposes) {
    if (text.includes(":")) throw new ValueError(`invalid port format for --expose: ${text}`);
    const [range = "", protocol = "tcp"] = text.split("/");
    const parsed = parseRange(range);
    if (parsed === undefined)
      throw new ValueError(
        `invalid range format for --expose: ${text}, error: strconv.ParseUint: parsing ${JSON.stringify(range)}: invalid syntax`,
      );
    for (let port = parsed[0]; port <= parsed[1]; port++) exposed[`${port}/${protocol.toLowerCase()}`] = {};
  }
  return { exposed, bindings };
}
