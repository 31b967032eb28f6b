// Reads a container's log as a stream: what is there, then, for a follower, what comes, until the container has ended.
// One block in memory per reader; a slow client stops the reading, never the writing.

import { watch } from "node:fs";
import { dirname } from "node:path";
import { Readable } from "node:stream";
import { errnoOf } from "../../base/errors.ts";
import type { LogsRequest } from "../api/ports.ts";
import type { LogPosition, LogReader, LogSource } from "./index.ts";
import { LineDecoder } from "./line-decoder.ts";
import { closeAll, type LogFile, openLogFiles, openNewerThan, readAt, sizeOf } from "./log-files.ts";
import { findTail } from "./tail.ts";

const blockBytes = 256 << 10;
/** A line longer than this is no line of ours: the shim cuts at 16 KiB of text. */
const maxLineBytes = 4 << 20;
/** Where inotify is exhausted. */
const pollMs = 250;
const newline = 0x0a;

export function createLogReader(): LogReader {
  return {
    read(source, request, signal) {
      const stop = new AbortController();
      return streamOf(readLog(source, request, AbortSignal.any([signal, stop.signal])), stop);
    },
    readUntil(source, position, streams) {
      // Opened here and not at the first read: a rotation afterwards cannot take them away.
      const files = openLogFiles(source.path, source.maxFiles);
      const stop = new AbortController();
      return streamOf(readTo(source, files, position, streams), stop, () => closeAll(files));
    },
  };
}

function streamOf(chunks: AsyncGenerator<Buffer>, stop: AbortController, onClose?: () => void): Readable {
  const stream = Readable.from(chunks, { objectMode: false, highWaterMark: blockBytes });
  stream.once("close", () => {
    stop.abort();
    onClose?.();
  });
  return stream;
}

async function* readLog(source: LogSource, request: LogsRequest, stop: AbortSignal): AsyncGenerator<Buffer> {
  const decoder = new LineDecoder({
    stdout: request.stdout,
    stderr: request.stderr,
    sinceNs: request.sinceNs,
    untilNs: request.untilNs,
    timestamps: request.timestamps,
    attributes: request.details ? source.attributes : undefined,
    raw: source.tty,
    // Who follows may expect a line per frame, as dockerd sends them.
    merge: !request.follow,
  });
  // Watching begins before the first look: nothing written in between is missed.
  const changes = request.follow ? watchLog(source, stop) : undefined;
  const open: LogFile[] = [];
  try {
    open.push(...openLogFiles(source.path, source.maxFiles));
    let offset = 0;
    if (request.tail !== undefined) {
      const place = await findTail(open, request.tail);
      closeAll(open.splice(0, place.file));
      offset = place.offset;
    }
    for (;;) {
      const wasEnded = source.ended.aborted;
      const current = open[0];
      if (current !== undefined) {
        const lines = new LineReader(current, offset);
        for await (const block of lines.blocks(undefined)) {
          if (stop.aborted) return;
          const frames = decoder.decode(block);
          if (frames.length > 0) yield frames;
          if (decoder.done) return;
        }
        offset = lines.offset;
        // Its successor was open already: the file was complete when it was read.
        if (open.length > 1) {
          closeAll(open.splice(0, 1));
          offset = 0;
          continue;
        }
      }
      if (changes === undefined || stop.aborted) return;
      const newer = openNewerThan(source.path, source.maxFiles, current);
      if (newer.length > 0) {
        // Read on: the last lines of the current file may have come between its end and the rotation.
        open.push(...newer);
        continue;
      }
      if (current !== undefined && sizeOf(current) < offset) {
        offset = 0;
        continue;
      }
      if (wasEnded) return;
      await changes.next();
    }
  } finally {
    closeAll(open);
    changes?.close();
  }
}

async function* readTo(
  source: LogSource,
  files: readonly LogFile[],
  position: LogPosition,
  streams: { readonly stdout: boolean; readonly stderr: boolean },
): AsyncGenerator<Buffer> {
  const decoder = new LineDecoder({
    ...streams,
    sinceNs: undefined,
    untilNs: undefined,
    timestamps: false,
    attributes: undefined,
    raw: source.tty,
    merge: true,
  });
  const at = files.findIndex((file) => file.inode === position.inode);
  const last = (position.inode ?? 0) === 0 ? files.length - 1 : at;
  // A file that was rotated away already took the position with it: then nothing of what is left came before.
  for (const [index, file] of files.slice(0, last + 1).entries()) {
    const limit = index === last ? position.offset : undefined;
    for await (const block of new LineReader(file, 0).blocks(limit)) yield decoder.decode(block);
  }
}

/** Whole lines of one file from an offset on. */
class LineReader {
  readonly #file: LogFile;
  /** Where the next line begins. */
  offset: number;

  constructor(file: LogFile, offset: number) {
    this.#file = file;
    this.offset = offset;
  }

  /** Blocks that end with a newline, up to the end of the file or to `limit`. A block is valid until the next one. */
  async *blocks(limit: number | undefined): AsyncGenerator<Buffer> {
    let buffer = Buffer.allocUnsafe(blockBytes);
    let held = 0;
    for (;;) {
      const position = this.offset + held;
      const room = buffer.length - held;
      const length = limit === undefined ? room : Math.min(room, limit - position);
      const bytes = length <= 0 ? 0 : await readAt(this.#file, buffer, held, length, position);
      if (bytes === 0) return;
      const filled = held + bytes;
      const end = buffer.lastIndexOf(newline, filled - 1) + 1;
      if (end > 0) {
        yield buffer.subarray(0, end);
        this.offset += end;
        buffer.copyWithin(0, end, filled);
        held = filled - end;
      } else if (filled < buffer.length) {
        held = filled;
      } else if (buffer.length < maxLineBytes) {
        const larger = Buffer.allocUnsafe(buffer.length * 2);
        buffer.copy(larger, 0, 0, filled);
        buffer = larger;
        held = filled;
      } else {
        // Damage: skip it, and with it the rest up to the next newline, which decodes to nothing.
        this.offset += filled;
        held = 0;
      }
    }
  }
}

/** Tells when the log may have grown, rotated or ended. `next` resolves at once for what happened since the last call. */
function watchLog(source: LogSource, stop: AbortSignal): { next(): Promise<void>; close(): void } {
  let changed = false;
  let wake = (): void => {};
  const notify = (): void => {
    changed = true;
    wake();
  };
  const stopWatching = startWatching(dirname(source.path), notify);
  source.ended.addEventListener("abort", notify);
  stop.addEventListener("abort", notify);
  return {
    async next() {
      if (!changed && !stop.aborted && !source.ended.aborted) {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
      changed = false;
    },
    close() {
      stopWatching();
      source.ended.removeEventListener("abort", notify);
      stop.removeEventListener("abort", notify);
    },
  };
}

function startWatching(directory: string, notify: () => void): () => void {
  const poll = (): (() => void) => {
    const timer = setInterval(notify, pollMs);
    return () => clearInterval(timer);
  };
  try {
    const watcher = watch(directory, notify);
    let stop = (): void => watcher.close();
    watcher.on("error", () => {
      watcher.close();
      stop = poll();
    });
    return () => stop();
  } catch (error) {
    const errno = errnoOf(error);
    if (errno !== "ENOSPC" && errno !== "EMFILE" && errno !== "ENOENT") throw error;
    return poll();
  }
}
