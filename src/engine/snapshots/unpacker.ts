// Runs gantry-unpack on one layer: hashes the uncompressed tar while it passes to the helper's stdin. The helper says when
// all files are there (the caller goes on with the next layer) and exits when they are durable.

import { type ChildProcess, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { join } from "node:path";
import type { Writable } from "node:stream";
import type { DiffId } from "../../base/digest.ts";
import { EngineError, isEngineError, messageOf } from "../../base/errors.ts";

/** What one layer may cost. */
export interface UnpackLimits {
  readonly entries: number;
  /** Of file content, holes included. */
  readonly bytes: number;
  /** Components of a path. */
  readonly depth: number;
}

export interface Unpacked {
  readonly diffId: DiffId;
  /** Bytes in regular files. */
  readonly sizeBytes: number;
  /** Length of the tar. */
  readonly tarBytes: number;
  /** Resolves when everything is on disk. @throws System the file system could not be synced */
  readonly synced: Promise<void>;
}

// Exit statuses of gantry-unpack: see shim/layer.h.
const exitBadArchive = 1;
const exitLimit = 2;
const maxOutput = 8192;

/**
 * Unpacks `tar` into `layer`/fs, which is empty and this call's own, and writes `layer`/recipe.
 *
 * @throws InvalidParameter the archive is malformed, hostile, truncated, or exceeds a limit
 * @throws System           a system call of the helper failed (a full disk, …)
 * @throws Cancelled        the signal was aborted; whatever `tar` throws is thrown on
 */
export async function unpackTar(
  helper: string,
  tar: AsyncIterable<Uint8Array>,
  layer: string,
  limits: UnpackLimits,
  signal: AbortSignal,
): Promise<Unpacked> {
  const args = [limits.entries, limits.bytes, limits.depth].map((n) => Math.floor(n).toFixed(0));
  const child = spawn(helper, [...args, join(layer, "fs"), layer], {
    stdio: ["pipe", "pipe", "pipe"],
    env: {},
    cwd: "/",
  });
  const watch = watchHelper(child);
  const abort = (): void => void child.kill("SIGKILL");
  signal.addEventListener("abort", abort, { once: true });
  try {
    const hash = createHash("sha256");
    let tarBytes: number;
    try {
      tarBytes = await feed(child.stdin, tar, hash, watch.ended, signal);
    } catch (error) {
      child.kill("SIGKILL");
      await watch.ended.catch(() => undefined);
      throw error;
    }
    const sizeBytes = await watch.extracted;
    const diffId = `sha256:${hash.digest("hex")}` as DiffId;
    // Whoever forgets the layer forgets to wait as well: that must not become an unhandled rejection.
    watch.ended.catch(() => undefined);
    return { diffId, sizeBytes, tarBytes, synced: watch.ended };
  } catch (error) {
    if (signal.aborted) throw new EngineError("Cancelled", "unpacking was cancelled", { cause: error });
    throw error;
  } finally {
    signal.removeEventListener("abort", abort);
  }
}

/**
 * Extracts `tar` into an empty directory that nobody needs after a crash: nothing is synced or recorded. Members that would be whiteouts
 * are left out.
 *
 * @throws as unpackTar
 */
export async function extractTar(
  helper: string,
  tar: AsyncIterable<Uint8Array>,
  directory: string,
  limits: UnpackLimits,
  signal: AbortSignal,
): Promise<void> {
  const args = [limits.entries, limits.bytes, limits.depth].map((n) => Math.floor(n).toFixed(0));
  const child = spawn(helper, ["into", ...args, directory], { stdio: ["pipe", "pipe", "pipe"], env: {}, cwd: "/" });
  const watch = watchHelper(child);
  const abort = (): void => void child.kill("SIGKILL");
  signal.addEventListener("abort", abort, { once: true });
  try {
    await feed(child.stdin, tar, undefined, watch.ended, signal);
    await watch.ended;
  } catch (error) {
    child.kill("SIGKILL");
    await watch.ended.catch(() => undefined);
    if (signal.aborted) throw new EngineError("Cancelled", "unpacking was cancelled", { cause: error });
    throw error;
  } finally {
    signal.removeEventListener("abort", abort);
  }
}

interface HelperWatch {
  /** Bytes in regular files, once everything is extracted. */
  readonly extracted: Promise<number>;
  /** The helper's exit with 0. */
  readonly ended: Promise<void>;
}

function watchHelper(child: ChildProcess): HelperWatch {
  const extracted = Promise.withResolvers<number>();
  const ended = Promise.withResolvers<void>();
  let out = "";
  let said = "";
  child.stdout?.setEncoding("utf8").on("data", (text: string) => {
    out = (out + text).slice(0, maxOutput);
    const line = /^(\d+) \d+\n/.exec(out);
    if (line?.[1] !== undefined) extracted.resolve(Number(line[1]));
  });
  child.stderr?.setEncoding("utf8").on("data", (text: string) => {
    said = (said + text).slice(0, maxOutput);
  });
  const failed = (error: EngineError): void => {
    extracted.reject(error);
    ended.reject(error);
  };
  child.on("error", (cause) =>
    failed(
      new EngineError("System", `run gantry-unpack: ${messageOf(cause)}; is it installed beside gantryd?`, { cause }),
    ),
  );
  child.on("close", (code, signalName) => {
    if (code === 0) {
      extracted.reject(new EngineError("System", "gantry-unpack did not say what it extracted"));
      ended.resolve();
      return;
    }
    const message = said.trim() === "" ? `gantry-unpack ended with ${signalName ?? `status ${code}`}` : said.trim();
    const isArchives = code === exitBadArchive || code === exitLimit;
    failed(new EngineError(isArchives ? "InvalidParameter" : "System", message));
  });
  extracted.promise.catch(() => undefined);
  return { extracted: extracted.promise, ended: ended.promise };
}

async function feed(
  stdin: Writable,
  tar: AsyncIterable<Uint8Array>,
  hash: ReturnType<typeof createHash> | undefined,
  ended: Promise<void>,
  signal: AbortSignal,
): Promise<number> {
  let bytes = 0;
  let broken = false;
  // The helper's own message says more than EPIPE does.
  stdin.on("error", () => {
    broken = true;
  });
  const helperEnd = ended.then(
    () => undefined,
    (error: unknown) => (isEngineError(error) ? error : new EngineError("System", messageOf(error))),
  );
  for await (const chunk of tar) {
    hash?.update(chunk);
    bytes += chunk.length;
    if (broken || signal.aborted) break;
    if (!stdin.write(chunk)) {
      const drained = Promise.withResolvers<undefined>();
      const onDrain = (): void => drained.resolve(undefined);
      stdin.once("drain", onDrain);
      const failure = await Promise.race([drained.promise, helperEnd]);
      stdin.off("drain", onDrain);
      if (failure !== undefined) throw failure;
    }
  }
  if (broken) throw (await helperEnd) ?? new EngineError("System", "gantry-unpack closed its input");
  stdin.end();
  return bytes;
}
