// The health service of gRPC. Source: grpc.health.v1.

import { field, int, message, string } from "../../grpc/message.ts";
import { serverStream, service, unary } from "../../grpc/service.ts";

/** `status` of a check. */
export const servingStatuses = { unknown: 0, serving: 1, notServing: 2, serviceUnknown: 3 } as const;
/** "" asks for the server as a whole. */
export const HealthCheckRequest = message("grpc.health.v1.HealthCheckRequest", { service: field(1, string) });
export const HealthCheckResponse = message("grpc.health.v1.HealthCheckResponse", { status: field(1, int) });

export const Health = service("grpc.health.v1.Health", {
  Check: unary(HealthCheckRequest, HealthCheckResponse),
  Watch: serverStream(HealthCheckRequest, HealthCheckResponse),
});
