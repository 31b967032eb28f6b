// POST /networks/{id}/connect and /disconnect: a container's place on a network. Texts are dockerd's.
// Source: Engine API 1.51, operations NetworkConnect and NetworkDisconnect.

import { EngineError } from "../../../base/errors.ts";
import type { EndpointSettings } from "../../../spec/docker/container.ts";
import { readObject } from "../body.ts";
import { endpointSchema } from "../containers/schema.ts";
import { param, sendEmpty } from "../exchange.ts";
import type { Engine } from "../ports.ts";
import { type Route, route } from "../router.ts";
import { bool, object, string } from "../schema.ts";

const connectSchema = object("network.ConnectOptions", { Container: string(), EndpointConfig: endpointSchema });
const disconnectSchema = object("network.DisconnectOptions", { Container: string(), Force: bool });

function named(container: string | null | undefined): string {
  if (container === undefined || container === null || container.trim() === "")
    throw new EngineError("InvalidParameter", `invalid name or ID supplied: ${JSON.stringify(container ?? "")}`);
  return container;
}

export function connectRoutes(engine: Engine): readonly Route[] {
  const { containers } = engine;
  return [
    route("POST", "/networks/{id}/connect", async (exchange) => {
      const body = (await readObject(exchange, connectSchema, "ConnectOptions", "allowed")) as {
        readonly Container?: string | null;
        readonly EndpointConfig?: EndpointSettings | null;
      };
      await containers.connectNetwork(param(exchange, "id"), named(body.Container), body.EndpointConfig ?? {});
      sendEmpty(exchange, 200);
    }),
    route("POST", "/networks/{id}/disconnect", async (exchange) => {
      const body = (await readObject(exchange, disconnectSchema, "DisconnectOptions", "allowed")) as {
        readonly Container?: string | null;
        readonly Force?: boolean | null;
      };
      await containers.disconnectNetwork(param(exchange, "id"), named(body.Container), body.Force === true);
      sendEmpty(exchange, 200);
    }),
  ];
}
