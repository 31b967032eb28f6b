// What a client of a build offers to the daemon, on a connection that it opened and on which the daemon asks: its directories,
// secrets, agents and credentials, and places for what the build makes. Source: BuildKit's session API.
//
//   POST /session, Upgrade: h2c ──► 101, then the daemon calls; this end serves

import type { Duplex, Readable, Writable } from "node:stream";

export interface SessionOffer {
  /** Directories by name: "context", "dockerfile", named contexts. */
  readonly directories: ReadonlyMap<string, string>;
  /** @returns undefined when there is none of that id */
  secret(id: string): Promise<Uint8Array | undefined>;
  /** A connection to the agent of that id ("default"); undefined when none is forwarded. */
  agent(id: string): Promise<Duplex | undefined>;
  /** For a registry's host; undefined: anonymous. */
  credentials(host: string): Promise<{ readonly username: string; readonly secret: string } | undefined>;
  /** Outputs by their number. */
  readonly outputs: ReadonlyMap<number, SessionOutput>;
  /** Streams by the path of the URL under which they were announced ("/x"). Each is taken once. */
  readonly uploads: ReadonlyMap<string, Readable>;
  /** OCI layouts to read from and write to, by the ids under which the daemon asks for them. */
  readonly stores: ReadonlyMap<string, string>;
}

export type SessionOutput =
  /** One stream (a tar). @param metadata of the exporter @returns it is ended when all is written */
  | { readonly kind: "stream"; open(metadata: Readonly<Record<string, string>>): Promise<Writable> }
  /** Files go there beside what is there; made when it is missing. */
  | { readonly kind: "directory"; readonly path: string };

export interface ClientSession {
  readonly id: string;
  /** Headers of POST /session: a list of names and values, since some come several times. */
  readonly headers: readonly (readonly [string, string])[];
  /** Serves on the connection that the request became. @returns resolves when it is gone */
  serve(connection: Duplex): Promise<void>;
  close(): void;
}

export { createClientSession } from "./session.ts";
