// POST /containers/{id}/attach. A client may attach to a container that does not run yet: it is connected to the shim before
// the first process runs, and sees its first byte. Afterwards bytes only pass through.

import type { Readable } from "node:stream";
import { EngineError } from "../../base/errors.ts";
import type { ContainerId } from "../../base/ids.ts";
import type { AttachRequest, AttachSession } from "../api/ports.ts";
import type { Shim } from "../runtime/index.ts";
import type { Container, WaitingClient } from "./container.ts";
import { LateDuplex } from "./late-duplex.ts";
import { logSourceOf, readsLog } from "./logs.ts";
import type { Room } from "./room.ts";

/** @throws Conflict paused, or restarting */
export async function attachContainer(
  room: Room,
  id: ContainerId,
  request: AttachRequest,
  signal: AbortSignal,
): Promise<AttachSession> {
  using held = await room.lock(id);
  const { container } = held;
  const { record } = container;
  if (container.removing) throw new EngineError("Conflict", `container ${id} is being removed`);
  if (record.state.status === "paused") {
    throw new EngineError("Conflict", `container ${record.name} is paused, unpause the container before attach`);
  }
  if (record.state.status === "restarting") {
    throw new EngineError("Conflict", `container ${record.name} is restarting, wait until the container is running`);
  }
  signal.throwIfAborted();
  const stdin = request.stdin && record.config.OpenStdin === true && request.stream;
  const duplex = new LateDuplex({ forwardsInput: stdin });
  const client: WaitingClient = {
    duplex,
    streams: { stdin, stdout: request.stdout, stderr: request.stderr },
    logs: request.logs && readsLog(record),
  };
  if (!request.stream) {
    duplex.replay(client.logs ? wholeLog(room, container, client) : undefined);
  } else if (container.task !== undefined) {
    await connectClient(room, container, container.task.shim, client);
  } else {
    container.clients.add(client);
    duplex.once("close", () => container.clients.delete(client));
  }
  room.announce(container, "attach");
  return {
    tty: record.config.Tty === true,
    duplex,
    detach(byKeys) {
      duplex.destroy();
      if (byKeys) room.announce(container, "detach");
    },
  };
}

/** Connects those that wait; a client that fails is ended, the start goes on. */
export async function connectClients(room: Room, container: Container, shim: Shim): Promise<void> {
  const clients = [...container.clients];
  container.clients.clear();
  await Promise.all(
    clients.map((client) =>
      connectClient(room, container, shim, client).catch((error: unknown) => {
        client.duplex.destroy(error instanceof Error ? error : undefined);
      }),
    ),
  );
}

async function connectClient(room: Room, container: Container, shim: Shim, client: WaitingClient): Promise<void> {
  if (!client.logs) {
    const { duplex } = await shim.attach("init", client.streams);
    client.duplex.connect(duplex);
    return;
  }
  const source = logSourceOf(room, container);
  const attachment = await shim.attach("init", { ...client.streams, pending: true });
  client.duplex.connect(attachment.duplex, room.deps.logs.readUntil(source, attachment.position, client.streams));
}

function wholeLog(room: Room, container: Container, client: WaitingClient): Readable {
  const request = {
    ...client.streams,
    follow: false,
    sinceNs: undefined,
    untilNs: undefined,
    tail: undefined,
    timestamps: false,
    details: false,
  };
  return room.deps.logs.read(logSourceOf(room, container), request, room.closing.signal);
}
