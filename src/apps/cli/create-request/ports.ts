// --publish and --expose: "[[ip:][host]:]container[/protocol]" with ranges, or "published=…,target=…,protocol=…".
// Source: the docker CLI 28 and go-connections' nat package (behaviour only).

import { messageOf } from "../../../base/errors.ts";
import type { PortBinding } from "../../../spec/docker/container.ts";
import { isAddress, ValueError } from "./values.ts";

/** What the API calls ExposedPorts and PortBindings. */
export interface ParsedPorts {
  readonly exposed: Readonly<Record<string, Record<string, never>>>;
  readonly bindings: Readonly<Record<string, readonly PortBinding[]>>;
}

/** A port as Go's ParseUint(x, 10, 16) reads it. @throws Error */
export function parsePort(text: string): number {
  const complain = (what: string): ValueError =>
    new ValueError(`strconv.ParseUint: parsing ${JSON.stringify(text)}: ${what}`);
  if (!/^\d+$/.test(text)) throw complain("invalid syntax");
  if (Number(text) > 65535) throw complain("value out of range");
  return Number(text);
}

/** "80" or "80-82"; what follows a second dash is ignored, as docker does. @throws Error */
function parseRange(text: string): readonly [number, number] {
  if (text === "") throw new ValueError("empty string specified for ports");
  const [low = "", high = low] = text.split("-");
  const [start, end] = [parsePort(low), parsePort(high)];
  if (end < start) throw new ValueError(`invalid range specified for port: ${text}`);
  return [start, end];
}

function rangeOr(complaint: string, text: string): readonly [number, number] {
  try {
    return parseRange(text);
  } catch (error) {
    throw new ValueError(complaint, { cause: error });
  }
}

/** The long form as the short one; members that are not known are ignored. */
function shorten(text: string): string {
  const fields = new Map<string, string>();
  for (const field of text.split(",")) {
    const at = field.indexOf("=");
    if (at <= 0) throw new ValueError(`invalid publish opts format (should be name=value but got '${field}')`);
    fields.set(field.slice(0, at), field.slice(at + 1));
  }
  const { published = "", target = "", protocol = "tcp" } = Object.fromEntries(fields);
  return `${published}:${target}/${protocol}`;
}

/** "80/udp" → port and protocol; tcp where none is named, and both "" where there is no port. */
function splitProtocol(text: string): { readonly port: string; readonly protocol: string } {
  const [port = "", protocol = ""] = text.split("/");
  return port === "" ? { port: "", protocol: "" } : { port, protocol: protocol || "tcp" };
}

/** The address within brackets. @throws Error with the complaint of Go's SplitHostPort */
function unbracket(ip: string): string {
  const end = ip.indexOf("]");
  const complaint = end < 0 ? "missing ']' in address" : end + 1 < ip.length ? "missing port in address" : undefined;
  if (complaint !== undefined) throw new ValueError(`invalid IP address ${ip}: address ${ip}:: ${complaint}`);
  return ip.slice(1, end);
}

function splitSpec(text: string): { readonly ip: string; readonly host: string; readonly container: string } {
  const parts = text.split(":");
  const [host = "", container = ""] = parts.length === 1 ? ["", text] : parts.slice(-2);
  const ip = parts.slice(0, -2).join(":");
  return { ip: ip.startsWith("[") ? unbracket(ip) : ip, host, container };
}

function publish(
  text: string,
  exposed: Record<string, Record<string, never>>,
  bindings: Record<string, PortBinding[]>,
): void {
  const spec = text.includes("=") ? shorten(text) : text;
  const { ip, host, container } = splitSpec(spec);
  const { port: inside, protocol } = splitProtocol(container);
  if (ip !== "" && !isAddress(ip)) throw new ValueError(`invalid IP address: ${ip}`);
  if (inside === "") throw new ValueError(`no port specified: ${spec}<empty>`);
  const [start, end] = rangeOr(`invalid containerPort: ${inside}`, inside);
  const outer = host === "" ? undefined : rangeOr(`invalid hostPort: ${host}`, host);
  const isOneToRange = outer !== undefined && start === end && outer[0] !== outer[1];
  if (outer !== undefined && !isOneToRange && outer[1] - outer[0] !== end - start)
    throw new ValueError(`invalid ranges specified for container and host Ports: ${inside} and ${host}`);
  if (!["tcp", "udp", "sctp"].includes(protocol.toLowerCase())) throw new ValueError(`invalid proto: ${protocol}`);
  for (let port = start; port <= end; port++) {
    const key = `${port}/${protocol.toLowerCase()}`;
    exposed[key] = {};
    const hostPort =
      outer === undefined ? "" : isOneToRange ? `${outer[0]}-${outer[1]}` : String(outer[0] + port - start);
    bindings[key] = [...(bindings[key] ?? []), { HostIp: ip, HostPort: hostPort }];
  }
}

function expose(text: string, exposed: Record<string, Record<string, never>>): void {
  if (text.includes(":")) throw new ValueError(`invalid port format for --expose: ${text}`);
  const { port: inside, protocol } = splitProtocol(text);
  let range: readonly [number, number];
  try {
    range = parseRange(inside);
  } catch (error) {
    throw new ValueError(`invalid range format for --expose: ${text}, error: ${messageOf(error)}`, { cause: error });
  }
  for (let port = range[0]; port <= range[1]; port++) exposed[`${port}/${protocol}`] = {};
}

/** @throws Error the complaint */
export function parsePorts(published: readonly string[], exposes: readonly string[]): ParsedPorts {
  const exposed: Record<string, Record<string, never>> = {};
  const bindings: Record<string, PortBinding[]> = {};
  for (const text of published) publish(text, exposed, bindings);
  for (const text of exposes) expose(text, exposed);
  return { exposed, bindings };
}
