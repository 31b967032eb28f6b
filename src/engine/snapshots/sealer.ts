// Runs gantry-pack seal, which makes a writable layer a read-only one where it lies (see shim/pack-seal.c).

import { spawn } from "node:child_process";
import { type DiffId, parseDiffId } from "../../base/digest.ts";
import { EngineError, messageOf } from "../../base/errors.ts";
import type { Unpacked } from "./unpacker.ts";

// Of gantry-pack: see shim/layer.h.
const exitLimit = 2;
const maxOutput = 8192;

/** What the program made. */
export interface Sealed extends Unpacked {
  /** Members of the layer's tar; 0: nothing has changed, and the directory is no layer. */
  readonly members: number;
}

/**
 * Makes `layer`/fs, an overlay's upper directory that nobody uses any more, what unpacking its tar would make, and writes
 * `layer`/recipe. Resolves when that is done; `synced` when it is durable.
 *
 * @param lower directories under it, top-most first
 * @param clampTimes seconds since 1970; no time in the layer is above it
 * @throws InvalidParameter a limit of the format was exceeded
 * @throws System, Cancelled
 */
export async function sealLayer(
  helper: string,
  layer: string,
  lower: readonly string[],
  clampTimes: number | undefined,
  signal: AbortSignal,
): Promise<Sealed> {
  if (signal.aborted) throw new EngineError("Cancelled", "sealing a layer was cancelled");
  const clamp = clampTimes === undefined ? "-" : Math.max(0, Math.floor(clampTimes)).toFixed(0);
  const child = spawn(helper, ["seal", layer, clamp, ...lower], {
    stdio: ["ignore", "pipe", "pipe"],
    env: {},
    cwd: "/",
  });
  const answered = Promise.withResolvers<Omit<Sealed, "synced">>();
  const ended = Promise.withResolvers<void>();
  let out = "";
  let said = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    out = (out + text).slice(0, maxOutput);
    const answer = parseAnswer(out);
    if (answer !== undefined) answered.resolve(answer);
  });
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    said = (said + text).slice(0, maxOutput);
  });
  const failed = (error: EngineError): void => {
    answered.reject(error);
    ended.reject(error);
  };
  child.on("error", (cause) =>
    failed(
      new EngineError("System", `run gantry-pack: ${messageOf(cause)}; is it installed beside gantryd?`, { cause }),
    ),
  );
  child.on("close", (code, signalName) => {
    if (code === 0) {
      answered.reject(new EngineError("System", "gantry-pack did not say what it sealed"));
      ended.resolve();
      return;
    }
    const message = said.trim() === "" ? `gantry-pack ended with ${signalName ?? `status ${code}`}` : said.trim();
    failed(new EngineError(code === exitLimit ? "InvalidParameter" : "System", `seal a layer: ${message}`));
  });
  // Whoever forgets the layer forgets to wait as well: that must not become an unhandled rejection.
  ended.promise.catch(() => undefined);
  const kill = (): void => void child.kill("SIGKILL");
  signal.addEventListener("abort", kill, { once: true });
  try {
    return { ...(await answered.promise), synced: ended.promise };
  } catch (error) {
    await ended.promise.catch(() => undefined);
    if (signal.aborted) throw new EngineError("Cancelled", "sealing a layer was cancelled", { cause: error });
    throw error;
  } finally {
    signal.removeEventListener("abort", kill);
  }
}

function parseAnswer(text: string): Omit<Sealed, "synced"> | undefined {
  const [, hex, sizeBytes, tarBytes, members] = /^([0-9a-f]{64}) (\d+) (\d+) (\d+)\n/.exec(text) ?? [];
  if (hex === undefined) return undefined;
  const diffId: DiffId = parseDiffId(`sha256:${hex}`);
  return { diffId, sizeBytes: Number(sizeBytes), tarBytes: Number(tarBytes), members: Number(members) };
}
