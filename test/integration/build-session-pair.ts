// Both ends of a session on a socket, for tests: the daemon's sessions on one, a client on the other.

import { mkdtempSync, rmSync } from "node:fs";
import { connect, createServer, type Socket } from "node:net";
import { once } from "node:events";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { silentLogger } from "../../src/base/log.ts";
import { createClientSession, type SessionOffer } from "../../src/client/session/index.ts";
import { createSourceDirectories } from "../../src/engine/build/sources/directories.ts";
import type { BuildClient } from "../../src/engine/build/client.ts";
import type { SourceDirectories } from "../../src/engine/build/sources/index.ts";
import { createSessions, type SessionRegistry } from "../../src/engine/buildkit/session/sessions.ts";

export const emptyOffer: SessionOffer = {
  directories: new Map(),
  secret: async () => undefined,
  agent: async () => undefined,
  credentials: async () => undefined,
  outputs: new Map(),
  stores: new Map(),
  uploads: new Map(),
};

export interface Pair extends AsyncDisposable {
  /** For the test's files. */
  readonly work: string;
  readonly contexts: string;
  readonly directories: SourceDirectories;
  readonly sessions: SessionRegistry;
  /** Connected sockets: the daemon's end and the client's. */
  sockets(): Promise<{ readonly daemon: Socket; readonly client: Socket }>;
  /** A session of our own client. */
  join(offer: Partial<SessionOffer>, directory?: string): Promise<{ readonly client: BuildClient; leave(): void }>;
}

export async function createPair(): Promise<Pair> {
  const work = mkdtempSync(join(tmpdir(), "gantry-session-"));
  const contexts = join(work, "contexts");
  const directories = await createSourceDirectories({ root: contexts, logger: silentLogger });
  const sessions = createSessions({ directories, logger: silentLogger });
  const server = createServer();
  server.listen(join(work, "socket"));
  await once(server, "listening");
  const open = new Set<Socket>();
  let turn: Promise<unknown> = Promise.resolve();
  const sockets: Pair["sockets"] = () => {
    const next = turn.then(openPair);
    turn = next;
    return next;
  };
  const openPair = async (): Promise<{ readonly daemon: Socket; readonly client: Socket }> => {
    const accepted = once(server, "connection");
    const client = connect(join(work, "socket"));
    const [daemon] = (await accepted) as [Socket];
    if (client.connecting) await once(client, "connect");
    for (const socket of [client, daemon]) open.add(socket.on("error", () => {}));
    return { daemon, client };
  };
  return {
    work,
    contexts,
    directories,
    sessions,
    sockets,
    async join(offer, directory = "/ctx") {
      const ends = await sockets();
      const session = createClientSession({ ...emptyOffer, ...offer }, directory);
      const headers: Record<string, string | string[]> = {};
      for (const [name, value] of session.headers) {
        const key = name.toLowerCase();
        const before = headers[key];
        headers[key] = before === undefined ? value : [before, value].flat();
      }
      void session.serve(ends.client);
      sessions.accept(ends.daemon, headers);
      return {
        client: await sessions.client(session.id, AbortSignal.timeout(5_000)),
        leave: () => session.close(),
      };
    },
    async [Symbol.asyncDispose]() {
      sessions.close();
      for (const socket of open) socket.destroy();
      server.close();
      await once(server, "close");
      rmSync(work, { recursive: true, force: true });
    },
  };
}
