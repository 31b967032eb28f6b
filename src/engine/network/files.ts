// The three files that a container gets: /etc/hosts, /etc/hostname, /etc/resolv.conf. Reads the host's own where they count.

import { readFileSync } from "node:fs";
import { EngineError, errnoOf } from "../../base/errors.ts";
import { parseExtraHost, renderHosts } from "./hosts-file.ts";
import type { LinkedHost, NetworkFiles, NetworkRequest } from "./index.ts";
import { hasNameServer } from "./own-network.ts";
import { planInternalResolvConf, planResolvConf, renderResolvConf, usesResolvedStub } from "./resolv-conf.ts";
import { askedResolvConf, readHostResolvConf } from "./resolver-files.ts";
import type { NetworkRoom } from "./room.ts";
import { parseNetworkMode } from "./validate.ts";

function readHosts(missing: string): string {
  try {
    return readFileSync("/etc/hosts", "utf8");
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return missing;
    throw error;
  }
}

function renderResolver(room: NetworkRoom, { id, hostConfig }: NetworkRequest, hostNetwork: boolean): string {
  const asked = askedResolvConf(room, hostConfig);
  const host = readHostResolvConf();
  if (hasNameServer(room, id)) return renderResolvConf(planInternalResolvConf(host, asked));
  const reachable =
    hostNetwork || !usesResolvedStub(host) ? host : readHostResolvConf("/run/systemd/resolve/resolv.conf");
  return renderResolvConf(planResolvConf(reachable, asked, hostNetwork));
}

/**
 * As the room's endpoints of the container say now.
 *
 * @throws InvalidParameter host-gateway without a default bridge
 * @throws System           a file of the host cannot be read
 */
export function makeFiles(room: NetworkRoom, request: NetworkRequest, hostGateways: readonly string[]): NetworkFiles {
  const { id, config, hostConfig } = request;
  const mode = parseNetworkMode(hostConfig.NetworkMode);
  const hostNetwork = mode.kind === "network" && mode.name === "host";
  const hostname = config.Hostname ?? "";
  const extraHosts = (hostConfig.ExtraHosts ?? []).flatMap((text) => {
    const parsed = parseExtraHost(text);
    return "complaint" in parsed ? [] : [parsed];
  });
  if (hostGateways.length === 0 && extraHosts.some(({ address }) => address === "host-gateway"))
    throw new EngineError(
      "InvalidParameter",
      "unable to derive the IP value for host-gateway: there is no default bridge",
    );
  const addresses = room.endpointsOf(id).flatMap(({ ip, ip6 }) => [ip, ip6].filter((address) => address !== ""));
  const made = renderHosts(
    extraHosts,
    hostGateways,
    (request.links ?? []).flatMap((link) => linkedLines(room, link)),
    addresses.length === 0 ? undefined : { addresses, hostname, domainname: config.Domainname ?? "" },
  );
  return {
    // On the host's network the host's names hold, unless the container brings names of its own.
    hosts: hostNetwork && extraHosts.length === 0 ? readHosts(made) : made,
    hostname: `${hostname}\n`,
    resolvConf: renderResolver(room, request, hostNetwork),
  };
}

/** A container that is linked to, by its addresses on the default bridge. */
function linkedLines(
  room: NetworkRoom,
  { containerId, name, alias, hostname }: LinkedHost,
): readonly { readonly address: string; readonly names: readonly string[] }[] {
  const bridge = room.records.values().find((network) => network.name === "bridge");
  const endpoint = bridge === undefined ? undefined : room.endpointOn(bridge.id, containerId);
  const names = [...new Set([alias, hostname, name])].filter((word) => word !== "");
  return [endpoint?.ip ?? "", endpoint?.ip6 ?? ""]
    .filter((address) => address !== "")
    .map((address) => ({ address, names }));
}
