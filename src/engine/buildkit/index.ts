// The face of BuildKit's door: the gRPC services that buildx and compose speak (Control, LLBBridge, health), and sessions, in which
// the daemon is the client. Thin: requests become the builder's, progress is rendered. Source: build.proto files of BuildKit's API;
// the fields that we read and write are in src/spec/buildkit/.

import type { Duplex } from "node:stream";
import type { Logger } from "../../base/log.ts";
import type { Builder, ImageResolver } from "../build/index.ts";
import type { BuildClient } from "../build/client.ts";
import type { OpRunner, SourceOpKind } from "../build/solver/index.ts";
import type { SourceDirectories } from "../build/sources/index.ts";

export interface BuildkitDoor {
  /** A connection on which the client will speak HTTP/2 at once: after POST /grpc's 101, or by its preface. */
  serveGrpc(connection: Duplex): void;
  /** After POST /session's 101: from now on we are the client. @param headers of the request, lower-cased */
  serveSession(connection: Duplex, headers: Readonly<Record<string, string | readonly string[] | undefined>>): void;
  readonly sessions: Sessions;
  close(): Promise<void>;
}

export interface Sessions {
  /** Waits a while for a session that has been announced but is not here yet. @throws NotFound "no active session for x" */
  client(sessionId: string, signal: AbortSignal): Promise<BuildClient>;
}

export interface BuildkitDeps {
  readonly builder: Builder;
  readonly directories: SourceDirectories;
  readonly engineVersion: string;
  readonly engineId: string;
  /** For `--add-host x:host-gateway`. */
  hostGatewayIp(): string;
  /** Bytes that the build cache may take, as `docker buildx inspect` shows them; 0, or nobody to ask: none are shown. */
  quotaBytes?(): number;
  /** For remote bake files: without these, definitions of git and http are refused. */
  readonly runners?: Pick<Readonly<Record<SourceOpKind, OpRunner>>, "git" | "http">;
  /** For clients that look at images themselves; refused without it. */
  readonly resolveImage?: ImageResolver;
  readonly logger: Logger;
}

export { createBuildkitDoor } from "./door.ts";
