// The operations of API 1.51 that are not built yet. Each answers 501, says which one it is and what to do instead.

import { EngineError } from "../../base/errors.ts";
import { type Method, type Route, route } from "./router.ts";

const byHand = "volume plugins that serve a socket in /run/docker/plugins work";

/** [method, pattern, what it is, what to do]. */
const operations: readonly (readonly [Method, string, string, string])[] = [
  ["GET", "/containers/{id}/stats", "stats", "read the container's cgroup, or use docker top"],
  ["POST", "/containers/{id}/update", "update", "create the container anew with the other limits"],
  ["GET", "/plugins/privileges", "plugin privileges", byHand],
  ["POST", "/plugins/pull", "plugin install", byHand],
  ["POST", "/plugins/create", "plugin create", byHand],
  ["DELETE", "/plugins/{name}", "plugin rm", byHand],
  ["POST", "/plugins/{name}/enable", "plugin enable", byHand],
  ["POST", "/plugins/{name}/disable", "plugin disable", byHand],
  ["POST", "/plugins/{name}/upgrade", "plugin upgrade", byHand],
  ["POST", "/plugins/{name}/push", "plugin push", byHand],
  ["POST", "/plugins/{name}/set", "plugin set", byHand],
  ["POST", "/swarm/init", "swarm", "run containers on this host"],
  ["POST", "/swarm/join", "swarm", "run containers on this host"],
];

export function unsupportedRoutes(): readonly Route[] {
  return operations.map(([method, pattern, what, instead]) =>
    route(method, pattern, async () => {
      throw new EngineError("NotImplemented", `${what} is not supported yet: ${instead}`);
    }),
  );
}
