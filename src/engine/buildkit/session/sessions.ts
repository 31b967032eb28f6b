// The sessions that are here, by id. A build may name its session before that has arrived: then it is waited for.

import type { Duplex } from "node:stream";
import { EngineError } from "../../../base/errors.ts";
import type { Logger } from "../../../base/log.ts";
import type { BuildClient } from "../../build/client.ts";
import type { SourceDirectories } from "../../build/sources/index.ts";
import type { Sessions } from "../index.ts";
import { Session } from "./session.ts";

/** Source: BuildKit's session manager. */
const waitMs = 5_000;
const maxIdBytes = 256;

export interface SessionRegistry extends Sessions {
  /**
   * Takes a connection over on which a client serves; it ends when the client leaves.
   *
   * @param headers of POST /session, lower-cased: x-docker-expose-session-uuid, -sharedkey, -grpc-method
   * @throws InvalidParameter no id, or one that is taken
   */
  accept(connection: Duplex, headers: Readonly<Record<string, string | readonly string[] | undefined>>): void;
  close(): void;
}

export interface SessionsDeps {
  readonly directories: SourceDirectories;
  readonly logger: Logger;
}

export function createSessions({ directories, logger }: SessionsDeps): SessionRegistry {
  const sessions = new Map<string, Session>();
  const waiting = new Map<string, Set<(session: Session) => void>>();

  return {
    accept(connection, headers) {
      const id = valuesOf(headers["x-docker-expose-session-uuid"])[0] ?? "";
      if (id === "" || id.length > maxIdBytes || sessions.has(id)) {
        connection.destroy();
        throw new EngineError(
          "InvalidParameter",
          `a session without an id of its own: ${JSON.stringify(id.slice(0, 64))}`,
        );
      }
      const sharedKey = valuesOf(headers["x-docker-expose-session-sharedkey"])[0] ?? "";
      const methods = new Set(
        valuesOf(headers["x-docker-expose-session-grpc-method"]).flatMap((value) => value.split(/\s*,\s*/)),
      );
      const session = new Session(connection, { id, sharedKey, methods, directories, logger });
      sessions.set(id, session);
      session.gone.addEventListener(
        "abort",
        () => {
          sessions.delete(id);
          logger.debug("session ended", { session: id });
        },
        { once: true },
      );
      logger.debug("session began", { session: id, methods: methods.size });
      for (const resolve of waiting.get(id) ?? []) resolve(session);
    },
    async client(sessionId, signal): Promise<BuildClient> {
      const here = sessions.get(sessionId);
      if (here !== undefined) return here;
      signal.throwIfAborted();
      const { promise, resolve, reject } = Promise.withResolvers<Session>();
      const resolvers = waiting.get(sessionId) ?? new Set();
      waiting.set(sessionId, resolvers.add(resolve));
      const timer = setTimeout(() => reject(new EngineError("NotFound", `no active session for ${sessionId}`)), waitMs);
      const onAbort = (): void => reject(signal.reason);
      signal.addEventListener("abort", onAbort, { once: true });
      try {
        return await promise;
      } finally {
        clearTimeout(timer);
        signal.removeEventListener("abort", onAbort);
        resolvers.delete(resolve);
        if (resolvers.size === 0) waiting.delete(sessionId);
      }
    },
    close() {
      for (const session of sessions.values()) session.close();
    },
  };
}

function valuesOf(header: string | readonly string[] | undefined): readonly string[] {
  if (header === undefined || header === "") return [];
  return typeof header === "string" ? [header] : header;
}
