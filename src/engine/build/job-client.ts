// A build's client, when the build stands upon another's result: directories that the other build read are the other client's.

import { EngineError } from "../../base/errors.ts";
import type { BuildClient } from "./client.ts";

/** Name of another session's directory in a local op: "<session>\n<name>"; no client sends a name with a line break. */
export function foreignDirectory(sessionId: string, name: string): string {
  return name.includes("\n") ? name : `${sessionId}\n${name}`;
}

/** Asks for foreign directories where they are. @param clientOf the client of a session whose build still runs */
export function routingClient(own: BuildClient, clientOf: (sessionId: string) => BuildClient | undefined): BuildClient {
  return {
    sessionId: own.sessionId,
    syncDirectory: async (name, options, signal) => {
      const at = name.indexOf("\n");
      if (at === -1) return own.syncDirectory(name, options, signal);
      const sessionId = name.slice(0, at);
      const client = sessionId === own.sessionId ? own : clientOf(sessionId);
      if (client === undefined)
        throw new EngineError("NotFound", "the build that this one stands upon has ended, and its files are gone");
      return client.syncDirectory(name.slice(at + 1), options, signal);
    },
    upload: (url, signal) => own.upload(url, signal),
    secret: (id, signal) => own.secret(id, signal),
    hasAgent: (id, signal) => own.hasAgent(id, signal),
    connectAgent: (id, signal) => own.connectAgent(id, signal),
    credentials: (host, signal) => own.credentials(host, signal),
    sendStream: (index, metadata, signal) => own.sendStream(index, metadata, signal),
    sendDirectory: (index, path, progress, signal) => own.sendDirectory(index, path, progress, signal),
    contentStore: (id) => own.contentStore(id),
  };
}
