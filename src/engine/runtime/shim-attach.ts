// An attach connection: one frame each way, then the process's bytes.

import type { Socket } from "node:net";
import { EngineError } from "../../base/errors.ts";
import { connectShim, throwErrorOf } from "./shim-connection.ts";
import { type Frame, parseFrame, parseFrameHeader, renderFrame } from "./shim-frames.ts";
import type { ShimAttachment } from "./shim.ts";

/** Which streams, and whether the bytes of an incomplete line, not in the log yet, come first. */
export interface AttachStreams {
  readonly stdin: boolean;
  readonly stdout: boolean;
  readonly stderr: boolean;
  readonly pending?: boolean;
}

// Reads exactly one frame and leaves what follows in the socket.
function readReply(socket: Socket, timeoutMs: number): Promise<Frame> {
  return new Promise((resolve, reject) => {
    let size: number | undefined;
    const finish = (act: () => void): void => {
      clearTimeout(timer);
      socket.removeListener("readable", onReadable);
      socket.removeListener("end", onEnd);
      socket.removeListener("error", onError);
      act();
    };
    const onReadable = (): void => {
      try {
        if (size === undefined) {
          const header: unknown = socket.read(4);
          if (!(header instanceof Buffer)) return;
          size = parseFrameHeader(header);
        }
        const body: unknown = socket.read(size);
        if (!(body instanceof Buffer)) return;
        const frame = parseFrame(body);
        finish(() => resolve(frame));
      } catch (error) {
        finish(() => reject(error instanceof Error ? error : new EngineError("DataLoss", String(error))));
      }
    };
    const onError = (error: Error): void => finish(() => reject(error));
    const onEnd = (): void => onError(new EngineError("Unavailable", "the shim has closed the attach connection"));
    const timer = setTimeout(() => onError(new EngineError("Deadline", "the shim has not answered attach")), timeoutMs);
    socket.on("readable", onReadable);
    socket.once("end", onEnd);
    socket.once("error", onError);
  });
}

/** @throws NotFound no such process; Unavailable the shim has left; Conflict too many clients */
export async function attachShim(
  runDir: string,
  target: string,
  streams: AttachStreams,
  timeoutMs: number,
): Promise<ShimAttachment> {
  let socket: Socket;
  try {
    socket = await connectShim(runDir);
  } catch (cause) {
    throw new EngineError("Unavailable", "the shim has left", { cause });
  }
  try {
    const flag = (value: boolean | undefined): string => (value === true ? "1" : "0");
    socket.write(
      renderFrame([
        ["op", "attach"],
        ["target", target],
        ["stdin", flag(streams.stdin)],
        ["stdout", flag(streams.stdout)],
        ["stderr", flag(streams.stderr)],
        ["pending", flag(streams.pending)],
      ]),
    );
    const reply = await readReply(socket, timeoutMs);
    throwErrorOf(reply);
    const position = {
      generation: Number(reply.get("generation")),
      offset: Number(reply.get("offset")),
      inode: Number(reply.get("inode")),
    };
    return { duplex: socket, position };
  } catch (error) {
    socket.destroy();
    throw error;
  }
}
