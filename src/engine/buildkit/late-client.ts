// The client of a build whose session may not be here yet: each question waits for it. Directories may be another session's.

import type { BuildClient, ClientContentStore } from "../build/client.ts";
import type { Sessions } from "./index.ts";

/** @param directories session of a directory, by its name; read at each question */
export function lateClient(
  sessions: Sessions,
  sessionId: string,
  directories: ReadonlyMap<string, string>,
): BuildClient {
  const client = (signal: AbortSignal): Promise<BuildClient> => sessions.client(sessionId, signal);
  return {
    sessionId,
    async syncDirectory(name, options, signal) {
      const owner = directories.get(name) ?? sessionId;
      return (await sessions.client(owner, signal)).syncDirectory(name, options, signal);
    },
    upload: async (url, signal) => (await client(signal)).upload(url, signal),
    secret: async (id, signal) => (await client(signal)).secret(id, signal),
    hasAgent: async (id, signal) => (await client(signal)).hasAgent(id, signal),
    connectAgent: async (id, signal) => (await client(signal)).connectAgent(id, signal),
    // Nobody to ask is anonymous: an image of a public registry needs no session.
    credentials: async (host, signal) =>
      sessionId === "" ? undefined : (await client(signal)).credentials(host, signal),
    sendStream: async (index, metadata, signal) => (await client(signal)).sendStream(index, metadata, signal),
    sendDirectory: async (index, path, progress, signal) =>
      (await client(signal)).sendDirectory(index, path, progress, signal),
    contentStore: (id) => lateContentStore(client, id),
  };
}

function lateContentStore(client: (signal: AbortSignal) => Promise<BuildClient>, id: string): ClientContentStore {
  const store = async (signal: AbortSignal): Promise<ClientContentStore> => (await client(signal)).contentStore(id);
  return {
    read: async (digest, signal) => (await store(signal)).read(digest, signal),
    info: async (digest, signal) => (await store(signal)).info(digest, signal),
    write: async (digest, size, data, signal) => (await store(signal)).write(digest, size, data, signal),
  };
}
