// Whether somebody is still at the other end of a connection whose sending side was closed. A half-closed peer, which docker
// makes to end stdin, and one that is gone look alike until something is written.
// Source: unix(7): a stream socket whose peer is closed takes no more writes, not even empty ones.

import type { Socket } from "node:net";

const probeMs = 1_000;

/** Once the peer has ended its side, an empty write every second: it sends nothing, and fails, which closes the socket, when the peer is gone. */
export function probeWhenEnded(socket: Socket): void {
  let timer: NodeJS.Timeout | undefined;
  const probe = (): void => {
    if (socket.writable) socket.write(Buffer.alloc(0));
  };
  socket.once("end", () => {
    timer = setInterval(probe, probeMs);
    probe();
  });
  socket.once("close", () => clearInterval(timer));
}
