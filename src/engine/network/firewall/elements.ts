// Elements of the sets and maps: what is per endpoint and per port. Pure.

import { EngineError } from "../../../base/errors.ts";
import type { FirewallElement, FirewallEndpoint, FirewallNetwork, FirewallPort } from "./index.ts";

/** What an endpoint adds to the sets. */
export function endpointElements(_network: FirewallNetwork, _endpoint: FirewallEndpoint): readonly FirewallElement[] {
  throw new EngineError("NotImplemented", "the firewall is not built yet");
}

/** What a published port adds to the maps. */
export function portElements(_network: FirewallNetwork, _port: FirewallPort): readonly FirewallElement[] {
  throw new EngineError("NotImplemented", "the firewall is not built yet");
}

/** Lines as ShimOwnNetwork.firewall has them. */
export function renderShimElements(_elements: readonly FirewallElement[]): readonly string[] {
  throw new EngineError("NotImplemented", "the firewall is not built yet");
}
