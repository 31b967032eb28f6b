// The host's network interfaces as `ip` tells them. sysfs is of no use: it shows the namespace that it was mounted in.
// Source: ip-address(8), the JSON output.

import { EngineError, messageOf } from "../../base/errors.ts";
import { run, tryRun } from "../kernel/run.ts";

export interface Link {
  readonly name: string;
  readonly up: boolean;
  readonly mtu: number;
  /** "bridge", "veth", …; undefined for hardware. */
  readonly kind: string | undefined;
  /** Name of the bridge it is a port of. */
  readonly master: string | undefined;
  /** IPv4 with prefix: "172.17.0.1/16". */
  readonly addresses: readonly string[];
  /** IPv6 with prefix, without link-local ones: "fd00::1/64". */
  readonly addresses6: readonly string[];
  /** What `ip link set … alias` wrote on it; "" for nothing. */
  readonly alias: string;
  readonly loopback: boolean;
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function textOf(value: unknown): string | undefined {
  return typeof value === "string" ? value : undefined;
}

function parseLink(value: unknown): Link | undefined {
  if (!isObject(value)) return undefined;
  const name = textOf(value["ifname"]);
  if (name === undefined) return undefined;
  const flags: readonly unknown[] = Array.isArray(value["flags"]) ? value["flags"] : [];
  const infos: readonly unknown[] = Array.isArray(value["addr_info"]) ? value["addr_info"] : [];
  const info = value["linkinfo"];
  const addressesOf = (family: string): readonly string[] =>
    infos.flatMap((entry) =>
      isObject(entry) && entry["family"] === family && entry["scope"] !== "link" && typeof entry["local"] === "string"
        ? [`${entry["local"]}/${String(entry["prefixlen"])}`]
        : [],
    );
  return {
    name,
    up: flags.includes("UP"),
    mtu: typeof value["mtu"] === "number" ? value["mtu"] : 0,
    kind: isObject(info) ? textOf(info["info_kind"]) : undefined,
    master: textOf(value["master"]),
    addresses: addressesOf("inet"),
    addresses6: addressesOf("inet6"),
    alias: textOf(value["ifalias"]) ?? "",
    loopback: flags.includes("LOOPBACK"),
  };
}

/** @throws System the text is not what `ip -json -details address show` prints */
export function parseLinks(text: string): readonly Link[] {
  let value: unknown;
  try {
    value = text.trim() === "" ? [] : JSON.parse(text);
  } catch (error) {
    throw new EngineError("System", `ip did not answer in JSON: ${messageOf(error)}`, { cause: error });
  }
  if (!Array.isArray(value)) throw new EngineError("System", "ip did not answer with a list of links");
  return value.flatMap((entry: unknown) => parseLink(entry) ?? []);
}

/** All of them, in one run of `ip`. @throws System `ip` failed */
export async function readLinks(): Promise<readonly Link[]> {
  return parseLinks(await run(["ip", "-json", "-details", "address", "show"]));
}

/** One of them; undefined when there is none of that name. @throws System `ip` could not be run */
export async function readLink(name: string): Promise<Link | undefined> {
  const result = await tryRun(["ip", "-json", "-details", "address", "show", "dev", name]);
  return result.exitCode === 0 ? parseLinks(result.stdout).find((link) => link.name === name) : undefined;
}
