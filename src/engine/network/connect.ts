// A start: every network of the container is reserved before anything is made, and all of it is let go when one of them cannot be.

import { EngineError, isEngineError } from "../../base/errors.ts";
import type { Change } from "../store/index.ts";
import { askedNetworks } from "./asked.ts";
import { makeEndpoint } from "./endpoint.ts";
import type { Connection, NetworkRequest } from "./index.ts";
import { publishNames } from "./names.ts";
import { planOwnNetwork } from "./own-network.ts";
import { renderEndpointRow, renderSandboxRow } from "./record.ts";
import { releaseContainer } from "./release.ts";
import type { NetworkRoom } from "./room.ts";
import { makeSandbox } from "./sandbox.ts";
import { parseNetworkMode } from "./validate.ts";

/** @throws as Networks.connect */
export function connectContainer(room: NetworkRoom, request: NetworkRequest): Connection {
  const mode = parseNetworkMode(request.hostConfig.NetworkMode);
  if (mode.kind === "container") {
    if (request.joined === undefined)
      throw new EngineError("System", "no namespace to join was given for network mode container:");
    return { network: { kind: "join", path: request.joined }, changes: [] };
  }
  if (request.config.NetworkDisabled === true) return { network: { kind: "none" }, changes: [] };
  // What an earlier start left that was never committed.
  releaseContainer(room, request.id);
  try {
    return reserve(room, request);
  } catch (error) {
    releaseContainer(room, request.id);
    if (!isEngineError(error)) throw error;
    throw new EngineError(error.kind, `failed to set up container networking: ${error.message}`, { cause: error });
  }
}

function reserve(room: NetworkRoom, request: NetworkRequest): Connection {
  const asked = askedNetworks(room, request);
  const endpoints = asked.map((one) => makeEndpoint(room, request, one));
  const changes: Change[] = endpoints.map((endpoint) => ({ insert: "endpoints", row: renderEndpointRow(endpoint) }));
  if (asked.some(({ network }) => room.driverOf(network).joins === "host"))
    return { network: { kind: "host" }, changes };
  const sandbox = makeSandbox(room, request);
  changes.push({ put: "sandboxes", row: renderSandboxRow(sandbox) });
  publishNames(room, request);
  return {
    network: planOwnNetwork(room, request),
    changes,
  };
}
