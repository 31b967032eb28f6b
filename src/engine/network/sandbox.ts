// A container's network as a whole: which networks have its default routes, and its published ports.

import { existsSync } from "node:fs";
import { EngineError, isEngineError } from "../../base/errors.ts";
import { bridgeKeys } from "./drivers/bridge-options.ts";
import { chooseGateways } from "./gateways.ts";
import type { NetworkRequest } from "./index.ts";
import type { PublishedPort } from "./ports/index.ts";
import type { Endpoint, Sandbox } from "./record.ts";
import type { NetworkRoom } from "./room.ts";

/**
 * Decides it anew of the endpoints that are in the room, and puts it there. Ports keep their numbers while there is a gateway; those of
 * a container that loses its last one stay reserved until `freePorts`.
 *
 * @throws what ports/ throws: Conflict a port in use, InvalidParameter, Unavailable; the sandbox is then what it was
 */
export function makeSandbox(room: NetworkRoom, request: NetworkRequest): Sandbox {
  const { id } = request;
  const before = room.sandboxes.get(id);
  const { ip4, ip6 } = chooseGateways(room, request);
  const sandbox: Sandbox = {
    containerId: id,
    gatewayNetwork: ip4?.networkId ?? "",
    gatewayNetwork6: ip6?.networkId ?? "",
    ports: planPorts(room, request, before?.ports ?? [], ip4, ip6),
  };
  room.sandboxes.set(id, sandbox);
  return sandbox;
}

/** Lets the ports go that a container no longer has: its shim listens on them no more. */
export function freePorts(room: NetworkRoom, before: Sandbox): void {
  const { containerId, ports } = before;
  if (ports.length > 0 && room.sandboxes.get(containerId)?.ports.length === 0) room.parts.ports.release(containerId);
}

/** Puts a sandbox back that `makeSandbox` has replaced. */
export function restoreSandbox(room: NetworkRoom, request: NetworkRequest, sandbox: Sandbox): void {
  const now = room.sandboxes.get(request.id);
  room.sandboxes.set(request.id, sandbox);
  if (now?.ports === sandbox.ports) return;
  if ((now?.ports ?? []).length > 0) room.parts.ports.release(request.id);
  if (sandbox.ports.length > 0) room.parts.ports.adopt(request.id, request.name, sandbox.ports);
}

function planPorts(
  room: NetworkRoom,
  request: NetworkRequest,
  before: readonly PublishedPort[],
  ip4: Endpoint | undefined,
  ip6: Endpoint | undefined,
): readonly PublishedPort[] {
  const { id, name, config, hostConfig } = request;
  const bindings = hostConfig.PortBindings ?? {};
  const publishAll = hostConfig.PublishAllPorts === true;
  const wanted = publishAll || Object.keys(bindings).length > 0;
  const outward = ip4 ?? ip6;
  if (!wanted || outward === undefined) return [];
  if (before.length > 0) return before;
  return programming(name, outward, () =>
    room.parts.ports.reserve({
      containerId: id,
      containerName: name,
      bindings,
      exposed: Object.keys(config.ExposedPorts ?? {}),
      publishAll,
      defaultHostIp:
        room.records.get(outward.networkId)?.options[bridgeKeys.hostBinding] ?? room.deps.config.defaultHostIp,
      families: [...(ip4 === undefined ? [] : [4 as const]), ...(hostHasIpv6() ? [6 as const] : [])],
    }),
  );
}

/** Ports that cannot be had are told as dockerd tells it, with the endpoint that wanted them. */
function programming<T>(name: string, { id }: Endpoint, reserve: () => T): T {
  try {
    return reserve();
  } catch (error) {
    if (!isEngineError(error)) throw error;
    const text = `driver failed programming external connectivity on endpoint ${name} (${id}): ${error.message}`;
    throw new EngineError(error.kind, text, { cause: error });
  }
}

/** Without IPv6 in the host's kernel nothing can be published there. */
function hostHasIpv6(): boolean {
  return existsSync("/proc/net/if_inet6");
}
