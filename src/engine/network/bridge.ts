// The default bridge on the host: made, or adopted as it stands, with its address and its sysctls. What is missing is
// planned from what `ip` shows, and done in one `ip -batch`.

import { readFileSync, writeFileSync } from "node:fs";
import { EngineError, errnoOf, messageOf } from "../../base/errors.ts";
import type { Logger } from "../../base/log.ts";
import { run } from "../kernel/run.ts";
import { type BridgeAddress, chooseBridgeAddress, parseBip, parseRoutes } from "./choose-subnet.ts";
import { type Link, readLinks } from "./links.ts";
import { macOfAddress, parseAddress, parseCidr } from "./subnet.ts";

export const defaultBridge = "gantry0";

export interface BridgeOptions {
  readonly interface: string;
  readonly mtu: number;
  readonly bip: string | undefined;
  readonly ipForward: boolean;
  readonly before: BridgeAddress | undefined;
  readonly held: boolean;
}

/** The commands for `ip -batch` that make the bridge what it should be; "" when it is. Pure. */
export function planBridge(name: string, mtu: number, address: BridgeAddress, link: Link | undefined): string {
  const prefix = address.subnet.split("/")[1] ?? "";
  const wanted = `${address.gateway}/${prefix}`;
  const commands: string[] = [];
  if (link === undefined) {
    const mac = macOfAddress(parseAddress(address.gateway) ?? 0);
    commands.push(`link add name ${name} address ${mac} mtu ${mtu} type bridge`);
  } else if (link.mtu !== mtu) commands.push(`link set dev ${name} mtu ${mtu}`);
  for (const other of link?.addresses ?? []) if (other !== wanted) commands.push(`address del ${other} dev ${name}`);
  if (link?.addresses.includes(wanted) !== true) commands.push(`address add ${wanted} broadcast + dev ${name}`);
  if (link?.up !== true) commands.push(`link set dev ${name} up`);
  return commands.map((command) => `${command}\n`).join("");
}

function adoptForeign(name: string, link: Link | undefined): BridgeAddress {
  if (link === undefined)
    throw new EngineError("InvalidParameter", `bridge device with non default name ${name} must be created manually`);
  if (link.kind !== "bridge") throw new EngineError("InvalidParameter", `${name} is not a bridge device`);
  const [address] = link.addresses;
  if (address === undefined)
    throw new EngineError(
      "InvalidParameter",
      `bridge ${name} has no IPv4 address; give it one (ip address add … dev ${name})`,
    );
  return parseBip(address);
}

/**
 * Idempotent. A bridge of another name than the default must exist and have an address; only the default one is changed.
 *
 * @throws InvalidParameter the bridge named cannot be used, or --bip is wrong
 * @throws Unavailable      no private range is free
 * @throws System           `ip` failed
 */
export async function setUpBridge(options: BridgeOptions, logger: Logger): Promise<BridgeAddress> {
  const name = options.interface;
  const links = await readLinks();
  const link = links.find((candidate) => candidate.name === name);
  let address: BridgeAddress;
  if (name === defaultBridge) {
    const addresses = links
      .filter((candidate) => candidate.name !== name)
      .flatMap((candidate) => candidate.addresses.flatMap((text) => parseCidr(text)?.subnet ?? []));
    const used = [...parseRoutes(readFileSync("/proc/net/route", "utf8"), name), ...addresses];
    address = chooseBridgeAddress({ ...options, existing: link?.addresses[0], used });
    if (options.bip !== undefined && renderBip(parseBip(options.bip)) !== renderBip(address))
      logger.warn("running containers hold the bridge's addresses; --bip waits until they have ended", {
        bip: options.bip,
        bridge: renderBip(address),
      });
    const plan = planBridge(name, options.mtu, address, link);
    if (plan !== "") await run(["ip", "-batch", "-"], { input: plan });
  } else address = adoptForeign(name, link);
  writeSysctl(`net/ipv6/conf/${name}/accept_ra`, "0", logger);
  if (options.ipForward) writeSysctl("net/ipv4/ip_forward", "1", logger);
  return address;
}

/** "172.17.0.1/16" */
export function renderBip(address: BridgeAddress): string {
  return `${address.gateway}/${address.subnet.split("/")[1] ?? ""}`;
}

/** True when the bridge is there, up, and has its address. */
export function isBridgeWhole(address: BridgeAddress, link: Link | undefined): boolean {
  return link !== undefined && link.up && link.addresses.includes(renderBip(address));
}

function writeSysctl(path: string, value: string, logger: Logger): void {
  const file = `/proc/sys/${path}`;
  try {
    if (readFileSync(file, "utf8").trim() !== value) writeFileSync(file, value);
  } catch (error) {
    // No IPv6 in the kernel: nothing to switch off.
    if (errnoOf(error) !== "ENOENT") logger.warn(`cannot set ${path} to ${value}`, { error: messageOf(error) });
  }
}
