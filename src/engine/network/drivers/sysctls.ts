// The host's own sysctls that networks need, written through /proc of the daemon's network namespace.
// Source: Documentation/networking/ip-sysctl.rst (forwarding, accept_ra).

import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { errnoOf, messageOf } from "../../../base/errors.ts";
import type { Logger } from "../../../base/log.ts";

/** undefined where the kernel has no such setting. */
export function readSysctl(path: string): string | undefined {
  try {
    return readFileSync(`/proc/sys/${path}`, "utf8").trim();
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return undefined;
    throw error;
  }
}

/** Writes it where it is there and another; a failure is logged, not thrown. */
export function writeSysctl(path: string, value: string, logger: Logger): void {
  try {
    const before = readSysctl(path);
    if (before !== undefined && before !== value) writeFileSync(`/proc/sys/${path}`, value);
  } catch (error) {
    logger.warn(`cannot set ${path} to ${value}`, { error: messageOf(error) });
  }
}

/** The host passes packets on. */
export function forwardIpv4(logger: Logger): void {
  writeSysctl("net/ipv4/ip_forward", "1", logger);
}

/**
 * The host passes IPv6 packets on. An interface that accepts router advertisements (accept_ra 1) would stop to with that, and
 * the host would lose its own address and default route: it is told to accept them all the same (2).
 */
export function forwardIpv6(logger: Logger): void {
  const conf = "net/ipv6/conf";
  if (readSysctl(`${conf}/all/forwarding`) !== "0") return;
  for (const name of readdirSync(`/proc/sys/${conf}`)) {
    if (name === "all" || name === "default" || name === "lo") continue;
    const kept = readSysctl(`${conf}/${name}/accept_ra`) === "1" && readSysctl(`${conf}/${name}/forwarding`) === "0";
    if (kept) writeSysctl(`${conf}/${name}/accept_ra`, "2", logger);
  }
  writeSysctl(`${conf}/all/forwarding`, "1", logger);
}
