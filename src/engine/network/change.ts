// Live changes: a container that runs is connected to one more network, or disconnected from one. Decided and reserved here; the
// caller commits, tells the shim, and then either finishes or undoes.

import type { Change } from "../store/index.ts";
import type { ShimOwnNetwork } from "../runtime/shim.ts";
import { refuseUnusable, settingsAsked } from "./asked.ts";
import { dropEndpoint, freeAddresses, makeEndpoint } from "./endpoint.ts";
import type { NetworkChange, NetworkRequest } from "./index.ts";
import { publishNames } from "./names.ts";
import { hasNameServer, planOwnNetwork } from "./own-network.ts";
import { type Endpoint, type NetworkRecord, renderEndpointRow, renderSandboxRow, type Sandbox } from "./record.ts";
import type { NetworkRoom } from "./room.ts";
import { freePorts, makeSandbox, restoreSandbox } from "./sandbox.ts";

interface Before {
  readonly network: ShimOwnNetwork;
  readonly sandbox: Sandbox;
}

function look(room: NetworkRoom, request: NetworkRequest): Before {
  const sandbox = room.sandboxes.get(request.id) ?? {
    containerId: request.id,
    ports: [],
    gatewayNetwork: "",
    gatewayNetwork6: "",
  };
  return { network: planOwnNetwork(room, request), sandbox };
}

/**
 * @param before the container as it was; `after` has the new network in its networkingConfig
 * @throws as makeEndpoint and makeSandbox; nothing is reserved then
 */
export function joinNetwork(
  room: NetworkRoom,
  before: NetworkRequest,
  after: NetworkRequest,
  network: NetworkRecord,
): NetworkChange {
  refuseUnusable(room, network);
  const then = look(room, before);
  const settings = settingsAsked(room, after, network);
  const endpoint = makeEndpoint(room, after, { network, settings });
  let sandbox: Sandbox;
  try {
    sandbox = makeSandbox(room, after);
  } catch (error) {
    dropEndpoint(room, endpoint);
    throw error;
  }
  publishNames(room, after);
  return {
    network: planOwnNetwork(room, after),
    before: then.network,
    changes: [
      { insert: "endpoints", row: renderEndpointRow(endpoint) },
      { put: "sandboxes", row: renderSandboxRow(sandbox) },
    ],
    finish: () => {},
    undo: () => {
      unpublish(room, endpoint, before);
      dropEndpoint(room, endpoint);
      restoreSandbox(room, before, then.sandbox);
      publishNames(room, before);
      return [
        { delete: "endpoints", key: endpoint.id },
        { put: "sandboxes", row: renderSandboxRow(then.sandbox) },
      ];
    },
  };
}

/** The addresses of the endpoint, and the ports, stay reserved until `finish`: the container has them until then. */
export function leaveNetwork(
  room: NetworkRoom,
  before: NetworkRequest,
  after: NetworkRequest,
  endpoint: Endpoint,
): NetworkChange {
  const then = look(room, before);
  unpublish(room, endpoint, before);
  room.deleteEndpoint(endpoint.id);
  room.leaving.set(endpoint.id, endpoint);
  const changes: Change[] = [{ delete: "endpoints", key: endpoint.id }];
  const undo = (): readonly Change[] => {
    room.leaving.delete(endpoint.id);
    room.setEndpoint(endpoint);
    restoreSandbox(room, before, then.sandbox);
    publishNames(room, before);
    return [
      { put: "endpoints", row: renderEndpointRow(endpoint) },
      { put: "sandboxes", row: renderSandboxRow(then.sandbox) },
    ];
  };
  try {
    const sandbox = makeSandbox(room, after);
    changes.push({ put: "sandboxes", row: renderSandboxRow(sandbox) });
    publishNames(room, after);
    return {
      network: planOwnNetwork(room, after),
      before: then.network,
      changes,
      finish: () => {
        room.leaving.delete(endpoint.id);
        freeAddresses(room, endpoint);
        freePorts(room, then.sandbox);
      },
      undo,
    };
  } catch (error) {
    undo();
    throw error;
  }
}

/** Takes the names of an endpoint away, and the client where this was its last network with names. */
function unpublish(room: NetworkRoom, endpoint: Endpoint, { id }: NetworkRequest): void {
  if (!hasNameServer(room, id)) return;
  room.parts.names.removeEndpoint(endpoint.id);
  const others = room.endpointsOf(id).filter((other) => other.id !== endpoint.id);
  if (!others.some(({ names }) => names.length > 0)) room.parts.names.removeClient(id);
}
