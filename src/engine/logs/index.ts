// The face of the log room: reading what shims write. The format is Docker's json-file:
// {"log":"text\n","stream":"stdout","time":"RFC 3339 nano"} per line; rotated files are path.1 (newest) … path.n-1.

import type { Readable } from "node:stream";
import type { LogsRequest } from "../api/ports.ts";

export { createLogReader } from "./reader.ts";

/** Where live output begins: see AttachPosition of runtime/. */
export interface LogPosition {
  readonly generation: number;
  /** Bytes, in the file of `inode`; in the newest one where that is not told. */
  readonly offset: number;
  readonly inode?: number;
}

export interface LogSource {
  readonly path: string;
  readonly maxFiles: number;
  readonly tty: boolean;
  /** Rendered before each line with details=1: "k=v,k2=v2". */
  readonly attributes: string;
  /** Aborted when the container has ended and its last byte is in the file: a follower then reads to the end and stops. */
  readonly ended: AbortSignal;
}

export interface LogReader {
  /** stdcopy frames, or raw bytes with a tty. Memory is bounded; a slow reader only slows itself. */
  read(source: LogSource, request: LogsRequest, signal: AbortSignal): Readable;
  /**
   * Everything up to a position of live output, for attach with logs=1. The files are opened in the call; those that were
   * begun after the position's file are left out.
   */
  readUntil(
    source: LogSource,
    position: LogPosition,
    streams: { readonly stdout: boolean; readonly stderr: boolean },
  ): Readable;
}
