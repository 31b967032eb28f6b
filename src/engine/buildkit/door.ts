// The gRPC services of the builder on connections that the API hands over, and sessions, in which the daemon calls.

import { implement, type GrpcConnection, serveGrpc } from "../../grpc/index.ts";
import { Health, servingStatuses } from "../../spec/buildkit/health.ts";
import { createAttachments } from "./attachments.ts";
import { createBridge } from "./bridge.ts";
import { createControl } from "./control.ts";
import type { BuildkitDeps, BuildkitDoor } from "./index.ts";
import { createSessions } from "./session/sessions.ts";
import { Solves } from "./solves.ts";

export function createBuildkitDoor(deps: BuildkitDeps): BuildkitDoor {
  const { directories, logger } = deps;
  const sessions = createSessions({ directories, logger });
  const solves = new Solves();
  const health = implement(Health, { Check: async () => ({ status: servingStatuses.serving }) });
  const services = [
    createControl(deps, sessions, solves, (connection, headers) => sessions.accept(connection, headers)),
    createBridge(deps, solves),
    createAttachments(deps.builder.history),
    health,
  ];
  const connections = new Set<GrpcConnection>();
  return {
    sessions,
    serveGrpc(connection) {
      const served = serveGrpc(connection, services, { logger });
      connections.add(served);
      void served.closed.then(() => connections.delete(served));
    },
    serveSession: (connection, headers) => sessions.accept(connection, headers),
    async close() {
      const open = [...connections];
      for (const connection of open) connection.close();
      sessions.close();
      solves.close();
      await Promise.all(open.map(({ closed }) => closed));
    },
  };
}
