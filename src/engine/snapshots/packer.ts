// Runs gantry-pack, which writes tars of layers (see shim/pack.c), and hashes what has a digest to keep to.

import { type ChildProcess, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import type { DiffId } from "../../base/digest.ts";
import { EngineError, messageOf } from "../../base/errors.ts";

// Of gantry-pack: see shim/layer.h.
const exitLimit = 2;
const maxOutput = 8192;

/** What a run is for: how its failures are called. */
export interface PackRun {
  /** Arguments of gantry-pack. */
  readonly args: readonly string[];
  /** Put in front of what it says. */
  readonly subject: string;
  /** Kind of a failure that is not a limit's. */
  readonly kind: "DataLoss" | "System";
}

/**
 * The tar that gantry-pack writes. It is started with the first read, and killed when the reader stops or the signal is aborted.
 *
 * @throws InvalidParameter a limit of the format was exceeded
 * @throws DataLoss, System as `run.kind` says
 * @throws System           the program could not be started
 * @throws Cancelled        the signal was aborted
 */
export async function* packTar(helper: string, run: PackRun, signal: AbortSignal): AsyncGenerator<Uint8Array> {
  if (signal.aborted) throw new EngineError("Cancelled", `${run.subject}: reading was cancelled`);
  const child = spawn(helper, run.args, { stdio: ["ignore", "pipe", "pipe"], env: {}, cwd: "/" });
  const failure = watch(child, run);
  const kill = (): void => void child.kill("SIGKILL");
  signal.addEventListener("abort", kill, { once: true });
  try {
    for await (const chunk of child.stdout) yield chunk as Uint8Array;
    const error = await failure;
    if (signal.aborted) throw new EngineError("Cancelled", `${run.subject}: reading was cancelled`, { cause: error });
    if (error !== undefined) throw error;
  } finally {
    signal.removeEventListener("abort", kill);
    kill();
  }
}

/**
 * A layer's own tar, compared with its digest at the end.
 *
 * @param directory the layer's, with fs and recipe
 * @throws DataLoss the layer is damaged: after the last byte if the bytes are not those of `diffId`
 */
export async function* packLayer(
  helper: string,
  directory: string,
  diffId: DiffId,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  const hash = createHash("sha256");
  const run: PackRun = { args: ["recipe", directory], subject: `layer ${diffId}`, kind: "DataLoss" };
  for await (const chunk of packTar(helper, run, signal)) {
    hash.update(chunk);
    yield chunk;
  }
  const actual = `sha256:${hash.digest("hex")}`;
  if (actual !== diffId)
    throw new EngineError(
      "DataLoss",
      `layer ${diffId}: its files in ${directory} were changed, their tar is now ${actual}; remove the image and pull or load it again`,
    );
}

/** Resolves at the end, with what went wrong. */
function watch(child: ChildProcess, run: PackRun): Promise<EngineError | undefined> {
  const ended = Promise.withResolvers<EngineError | undefined>();
  let said = "";
  child.stderr?.setEncoding("utf8").on("data", (text: string) => {
    said = (said + text).slice(0, maxOutput);
  });
  child.on("error", (cause) =>
    ended.resolve(
      new EngineError("System", `run gantry-pack: ${messageOf(cause)}; is it installed beside gantryd?`, { cause }),
    ),
  );
  child.on("close", (code, signalName) => {
    if (code === 0) {
      ended.resolve(undefined);
      return;
    }
    const message = said.trim() === "" ? `gantry-pack ended with ${signalName ?? `status ${code}`}` : said.trim();
    const kind = code === exitLimit ? "InvalidParameter" : run.kind;
    ended.resolve(new EngineError(kind, `${run.subject}: ${message}`));
  });
  return ended.promise;
}
