// The worker's socket: one connection per shim that has something to ask. A frame is answered when it is read; at most some
// frames of a connection per turn, so that a container that floods its own is not felt by the others.

import { chmodSync, rmSync } from "node:fs";
import { createServer, type Server, type Socket } from "node:net";
import { type ContainerId, parseContainerId } from "../../../base/ids.ts";
import { answer } from "./answer.ts";
import type { Forwarder } from "./forward.ts";
import { type Frame, FrameReader, kindDatagram, kindHello, kindStream, renderFrame } from "./frames.ts";
import { rcode } from "./query.ts";
import { relayReply, renderReply, type Transport } from "./reply.ts";
import type { NameTables } from "./tables.ts";

const framesPerTurn = 64;
/** A shim that does not take its replies: what comes then is lost, as datagrams are. */
const unsentMaxBytes = 1 << 20;
/** A container that is not known yet is being restored by the daemon: its questions wait for that, but not for ever. */
const unknownWaitMs = 3000;
const unknownPollMs = 50;

export interface ListenerDeps {
  readonly socketPath: string;
  readonly tables: NameTables;
  readonly forwarder: Forwarder;
  /** A failure of the server itself. */
  readonly complain: (message: string) => void;
}

/** Listens; only root may connect, which is why a shim's word about whose it is is taken. */
export function listen(deps: ListenerDeps, listening: () => void): Server {
  const server = createServer((socket) => serve(deps, socket));
  // What was left by a daemon that was killed; one daemon per exec root.
  rmSync(deps.socketPath, { force: true });
  server.on("error", (error) => deps.complain(`listen at ${deps.socketPath}: ${error.message}`));
  server.listen({ path: deps.socketPath, backlog: 1024 }, () => {
    chmodSync(deps.socketPath, 0o600);
    listening();
  });
  return server;
}

function serve({ tables, forwarder }: ListenerDeps, socket: Socket): void {
  const reader = new FrameReader();
  let id: ContainerId | undefined;
  let turn = 0;
  let isScheduled = false;
  let waitedMs = 0;

  const send = (frame: Frame, bytes: Buffer): void => {
    if (!socket.destroyed && socket.writableLength < unsentMaxBytes)
      socket.write(renderFrame(frame.kind, frame.tag, bytes));
  };

  const handle = (frame: Frame): void => {
    if (id === undefined) {
      if (frame.kind !== kindHello) throw new RangeError("the first frame is not a hello");
      id = parseContainerId(frame.payload.toString("latin1"));
      return;
    }
    if (frame.kind !== kindDatagram && frame.kind !== kindStream) return;
    const transport: Transport = frame.kind === kindDatagram ? "udp" : "tcp";
    const verdict = answer(frame.payload, transport, tables.client(id), tables, turn++);
    if (verdict.kind === "reply") send(frame, verdict.bytes);
    if (verdict.kind !== "forward") return;
    const { query, servers } = verdict;
    const isAsked = forwarder.ask(id, query, transport, servers, (reply) =>
      send(
        frame,
        reply === undefined ? renderReply(query, transport, rcode.servFail) : relayReply(query, transport, reply),
      ),
    );
    if (!isAsked) send(frame, renderReply(query, transport, rcode.refused));
  };

  /** Whether the container's tables are there, or have been waited for long enough. */
  const isReady = (): boolean => id === undefined || tables.client(id) !== undefined || waitedMs >= unknownWaitMs;

  const work = (): void => {
    isScheduled = false;
    if (socket.destroyed) return;
    socket.cork();
    try {
      for (let count = 0; count < framesPerTurn; count++) {
        if (!isReady()) {
          waitedMs += unknownPollMs;
          schedule(unknownPollMs);
          return;
        }
        const frame = reader.next();
        if (frame === undefined) {
          socket.resume();
          return;
        }
        handle(frame);
      }
      schedule(0);
    } catch {
      // Not a shim of this version: it is cut off and may come again.
      socket.destroy();
    } finally {
      socket.uncork();
    }
  };

  const schedule = (afterMs: number): void => {
    isScheduled = true;
    socket.pause();
    if (afterMs === 0) setImmediate(work);
    else setTimeout(work, afterMs);
  };

  socket.on("data", (chunk: Buffer) => {
    reader.push(chunk);
    if (!isScheduled) work();
  });
  // A shim that ends takes its connection with it.
  socket.on("error", () => socket.destroy());
}
