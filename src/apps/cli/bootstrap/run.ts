// Carries a plan out: mmdebstrap's tar goes to a temporary file and is hashed on its way; then it is streamed to the daemon as
// a docker-archive. The layer is what mmdebstrap wrote, with an entry for /dev before it, where runtimes mount.
// Source: docker image spec 1.2 (manifest.json of archives).

import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { createReadStream, createWriteStream } from "node:fs";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { CliError } from "../command.ts";
import { tarEnd, tarHeader, tarPadding } from "../tar-headers.ts";
import type { BootstrapPlan } from "./plan.ts";

/** A root file system on disk. */
export interface Layer {
  readonly path: string;
  readonly hex: string;
  readonly sizeBytes: number;
}

const failureLines = 30;

/**
 * Runs mmdebstrap.
 *
 * @param show     its own messages, as they come
 * @throws CliError it is missing, or failed; its last messages where they were not shown
 */
export async function makeLayer(
  plan: BootstrapPlan,
  directory: string,
  show: ((text: string) => void) | undefined,
): Promise<Layer> {
  const [program = "", ...args] = plan.argv;
  const path = join(directory, "layer.tar");
  const { SOURCE_DATE_EPOCH: epoch = "0" } = plan.env;
  const child = spawn(program, args, { stdio: ["ignore", "pipe", "pipe"], env: { ...process.env, ...plan.env } });
  const kill = (): void => void child.kill("SIGTERM");
  process.once("SIGINT", kill).once("SIGTERM", kill);
  let messages = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    show?.(text);
    messages = (messages + text).slice(-64 * 1024);
  });
  const { promise: ended, resolve, reject } = Promise.withResolvers<string>();
  child.on("error", (error: NodeJS.ErrnoException) => {
    const isMissing = error.code === "ENOENT";
    reject(new CliError(isMissing ? "mmdebstrap is missing: install the package mmdebstrap" : error.message));
  });
  child.on("close", (code, signal) => resolve(code === 0 ? "" : signal === null ? `exit status ${code}` : signal));
  const hash = createHash("sha256");
  let sizeBytes = 0;
  const time = Number(epoch);
  async function* bytes(): AsyncGenerator<Buffer> {
    yield tarHeader("./dev/", { size: 0, mode: 0o755, time });
    yield* child.stdout as AsyncIterable<Buffer>;
  }
  async function* hashed(): AsyncGenerator<Buffer> {
    for await (const chunk of bytes()) {
      hash.update(chunk);
      sizeBytes += chunk.length;
      yield chunk;
    }
  }
  try {
    const written = pipeline(hashed, createWriteStream(path, { mode: 0o600 }));
    const [failure] = await Promise.all([ended, written]);
    if (failure !== "") {
      const tail = show === undefined ? `\n${messages.trimEnd().split("\n").slice(-failureLines).join("\n")}` : "";
      throw new CliError(`mmdebstrap failed: ${failure}${tail}`);
    }
  } finally {
    process.off("SIGINT", kill).off("SIGTERM", kill);
    child.kill("SIGTERM");
  }
  return { path, hex: hash.digest("hex"), sizeBytes };
}

/** The image's configuration as bytes; their digest is the image's id. */
export function renderConfig(plan: BootstrapPlan, layer: Layer): Buffer {
  const rootfs = { type: "layers", diff_ids: [`sha256:${layer.hex}`] };
  return Buffer.from(JSON.stringify({ ...plan.config, rootfs }), "utf8");
}

/** The archive for POST /images/load. */
export async function* archiveOf(plan: BootstrapPlan, layer: Layer, config: Buffer): AsyncGenerator<Buffer> {
  const time = Number(plan.env["SOURCE_DATE_EPOCH"] ?? 0);
  const configName = `${createHash("sha256").update(config).digest("hex")}.json`;
  const layerName = `${layer.hex}/layer.tar`;
  const manifest = [{ Config: configName, RepoTags: [plan.tag], Layers: [layerName] }];
  const file = (name: string, bytes: Buffer): Buffer =>
    Buffer.concat([tarHeader(name, { size: bytes.length, mode: 0o644, time }), bytes, tarPadding(bytes.length)]);
  yield file("manifest.json", Buffer.from(JSON.stringify(manifest), "utf8"));
  yield file(configName, config);
  yield tarHeader(layerName, { size: layer.sizeBytes, mode: 0o644, time });
  yield* createReadStream(layer.path) as AsyncIterable<Buffer>;
  yield tarPadding(layer.sizeBytes);
  yield tarEnd;
}
