// Host names in the options of nfs and cifs volumes: the kernel takes addresses alone. Source: mount.nfs(8), mount.cifs(8).

import { lookup } from "node:dns/promises";
import { isIP } from "node:net";
import { EngineError, messageOf } from "../../base/errors.ts";

export interface NetworkSource {
  readonly device: string;
  readonly o: string;
}

/** @returns one address of a host */
export type ResolveHost = (host: string) => Promise<string>;

export async function resolveHost(host: string): Promise<string> {
  return (await lookup(host)).address;
}

/**
 * `addr=` of nfs and cifs, and the host in a cifs device, as addresses; everything else as it is.
 *
 * @throws System "error resolving passed in network volume address: …"
 */
export async function resolveSource(
  type: string,
  { device, o }: NetworkSource,
  resolve: ResolveHost = resolveHost,
): Promise<NetworkSource> {
  if (type !== "nfs" && type !== "cifs") return { device, o };
  const address = /(?:^|,)addr=([^,]*)/.exec(o)?.[1] ?? "";
  if (address !== "")
    return isIP(address) !== 0
      ? { device, o }
      : { device, o: o.replace(`addr=${address}`, `addr=${await addressOf(address, resolve)}`) };
  const share = type === "cifs" ? /^\/\/([^/:@]+)(\/.*)?$/.exec(device) : null;
  const host = share?.[1] ?? "";
  if (host === "" || isIP(host) !== 0) return { device, o };
  return { device: `//${await addressOf(host, resolve)}${share?.[2] ?? ""}`, o };
}

async function addressOf(host: string, resolve: ResolveHost): Promise<string> {
  try {
    return await resolve(host);
  } catch (cause) {
    throw new EngineError(
      "System",
      `error resolving passed in network volume address: lookup ${host}: ${messageOf(cause)}`,
      { cause },
    );
  }
}
