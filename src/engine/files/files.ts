// createFiles: each question is a process of gantry-archive that is bound to the request. What it reads may be a file system of
// the container's own that never answers: then nothing waits but that request.

import { PassThrough, type Readable, type Writable } from "node:stream";
import { EngineError } from "../../base/errors.ts";
import type { Files, PathStat } from "./index.ts";
import { answerOf, type ArchiveProcess, startArchive } from "./run.ts";
import { checkPath, parseChanges, parseStat, rootWords } from "./words.ts";

const maxStatBytes = 64 << 10;
/** Paths of a million files. All of them are in memory several times before they are sent: a container must not choose how much that is. */
const maxChangesBytes = 64 << 20;
const highWaterMark = 256 << 10;

/** @param deps path of gantry-archive */
export function createFiles(deps: { readonly archivePath: string }): Files {
  const { archivePath } = deps;
  return {
    async stat(root, path, signal) {
      const args = ["stat", ...rootWords(root, false), checkPath(path)];
      const found = parseStat(await answerOf(startArchive(archivePath, args, "none", signal), maxStatBytes));
      if (found === undefined) throw new EngineError("System", "gantry-archive gave a damaged answer");
      return found.stat;
    },
    async pack(root, path, signal) {
      const args = ["pack", ...rootWords(root, false), checkPath(path)];
      const child = startArchive(archivePath, args, "none", signal);
      const { stat, rest } = await readStat(child);
      return { stat, tar: tarOf(child, rest) };
    },
    async extract(root, path, tar, { keepTypes, owner, whole }, signal) {
      const args = [
        "extract",
        ...rootWords(root, true),
        checkPath(path),
        whole === true ? "whole" : keepTypes ? "keep" : "replace",
      ];
      args.push(...(owner === undefined ? ["-", "-"] : [String(owner.uid), String(owner.gid)]));
      await feed(startArchive(archivePath, args, "tar", signal), tar);
    },
    async changes({ upper, lower }, signal) {
      const args = ["changes", upper, ...lower];
      return parseChanges(await answerOf(startArchive(archivePath, args, "none", signal), maxChangesBytes));
    },
  };
}

/** The beginning of what it prints. */
async function readStat(child: ArchiveProcess): Promise<{ readonly stat: PathStat; readonly rest: Buffer }> {
  let start = Buffer.alloc(0);
  for await (const chunk of child.stdout.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
    start = Buffer.concat([start, chunk]);
    const found = parseStat(start);
    if (found !== undefined) return { stat: found.stat, rest: start.subarray(found.end) };
    if (start.length > maxStatBytes) break;
  }
  child.kill();
  throw (await child.ended) ?? new EngineError("System", "gantry-archive gave a damaged answer");
}

/** Ends when the program has ended well, and fails with what it says: a tar that is cut off does not end. */
function tarOf(child: ArchiveProcess, rest: Buffer): Readable {
  const tar = new PassThrough({
    highWaterMark,
    async flush(done) {
      done((await child.ended) ?? null);
    },
  });
  // It may fail before anybody listens, and who comes then finds it so (`errored`): it must not end the daemon.
  tar.on("error", () => undefined).on("close", () => child.kill());
  child.stdout.on("error", (error) => tar.destroy(error));
  if (rest.length > 0) tar.write(rest);
  child.stdout.pipe(tar);
  return tar;
}

async function feed(child: ArchiveProcess, tar: Readable): Promise<void> {
  const { stdin } = child;
  if (stdin === null) throw new TypeError("gantry-archive was started without a pipe");
  // It says when it has opened the directory: until then nothing of the tar is taken.
  const opened = Promise.withResolvers<boolean>();
  child.stdout.on("data", () => opened.resolve(true)).on("close", () => opened.resolve(false));
  if (!(await opened.promise))
    throw (await child.ended) ?? new EngineError("System", "gantry-archive gave a damaged answer");
  let inputError: { readonly error: unknown } | undefined;
  // What destroys the tar because the program has ended says less than the program does.
  let isRefused = false;
  stdin.on("error", () => {
    isRefused = true;
  });
  const onError = (error: unknown): void => {
    if (isRefused) return;
    inputError ??= { error };
    child.kill();
  };
  tar.once("error", onError);
  // Before anybody listened.
  if (tar.destroyed && !tar.readableEnded)
    onError(tar.errored ?? new EngineError("Cancelled", "the archive was cut off"));
  try {
    // Its own words say more than EPIPE does.
    if (tar.readableEnded) stdin.end();
    else pour(tar, stdin);
    const failure = await child.ended;
    tar.off("error", onError).on("error", () => undefined);
    tar.destroy();
    if (inputError !== undefined) throw inputError.error;
    if (failure !== undefined) throw failure;
  } finally {
    child.kill();
  }
}

/**
 * Writes the tar's bytes as they come, and its end. Memory of a chunk that is written is given back at once: the collector
 * lets 64 MiB of them gather and then marks the whole heap, again and again.
 */
function pour(tar: Readable, stdin: Writable): void {
  stdin.on("error", () => tar.pause()).on("drain", () => tar.resume());
  tar.on("data", (chunk: Buffer) => {
    stdin.write(chunk, () => release(chunk));
    if (stdin.writableLength > highWaterMark) tar.pause();
  });
  tar.once("end", () => stdin.end());
}

/** A view of memory that has other views (a pool, a decoder's) is left alone. */
function release({ buffer, byteLength }: Buffer): void {
  if (buffer instanceof ArrayBuffer && buffer.byteLength === byteLength) buffer.transfer(0);
}
