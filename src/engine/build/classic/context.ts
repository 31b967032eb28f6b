// The tar that is the body of POST /build, unpacked by gantry-unpack (confined by construction) into a directory of its own, which
// lives as long as the build.

import { createHash, randomUUID } from "node:crypto";
import { createReadStream, type Stats, lstatSync, readdirSync, readlinkSync, readFileSync } from "node:fs";
import { mkdir, rm } from "node:fs/promises";
import { join, normalize } from "node:path";
import type { Digest } from "../../../base/digest.ts";
import { EngineError } from "../../../base/errors.ts";
import { failpoint } from "../../../base/failpoint.ts";
import { layerQuota, namingFullDisk } from "../../images/layer-quota.ts";
import { extractTar } from "../../snapshots/unpacker.ts";
import { createIgnoreMatcher } from "../dockerfile/index.ts";
import { openBounded } from "../sources/inflation.ts";
import type { EntryType, SourceDirectory, SourceEntry } from "../sources/index.ts";

export interface TarContextDeps {
  readonly dataRoot: string;
  /** Path of gantry-unpack. */
  readonly unpackPath: string;
}

/** Its bytes are bounded by what the disk has. */
const limits = { entries: 2_000_000, depth: 1024 } as const;
/** Larger files are read as streams. */
const smallFileBytes = 1 << 20;
/** Entries between two turns of the event loop. */
const atOnce = 200;

/** A context that came as a tar. */
export class TarContext implements AsyncDisposable {
  readonly #root: string;
  #entries: readonly SourceEntry[] = [];

  private constructor(root: string) {
    this.#root = root;
  }

  /**
   * @throws InvalidParameter not a tar, hostile, damaged, compressed in an unknown way
   */
  static async receive(
    deps: TarContextDeps,
    body: AsyncIterable<Uint8Array>,
    signal: AbortSignal,
  ): Promise<TarContext> {
    const root = join(deps.dataRoot, "tmp", randomUUID());
    await mkdir(join(root, "fs"), { recursive: true, mode: 0o755 });
    const context = new TarContext(root);
    try {
      const bytes = await layerQuota({ dataRoot: deps.dataRoot });
      await extractTar(
        deps.unpackPath,
        await plain(body[Symbol.asyncIterator]()),
        join(root, "fs"),
        { ...limits, bytes },
        signal,
      ).catch((error: unknown) => {
        throw namingFullDisk({ dataRoot: deps.dataRoot }, "the context", bytes, error);
      });
      await failpoint("build.context.unpacked");
      context.#entries = await entriesOf(join(root, "fs"), signal);
      return context;
    } catch (error) {
      await context[Symbol.asyncDispose]();
      throw error;
    }
  }

  /**
   * Deletes those of the files that the patterns exclude. Nothing else: clients leave out what they exclude, but for the files that
   * the daemon needs to read.
   */
  async exclude(patterns: readonly string[], files: readonly string[]): Promise<void> {
    if (patterns.length === 0) return;
    const matcher = createIgnoreMatcher(patterns);
    const gone = new Set(
      files.map((file) => normalize(file).replace(/^\/+/, "")).filter((path) => matcher.ignores(path)),
    );
    if (!this.#entries.some(({ path }) => gone.has(path))) return;
    for (const path of gone) await rm(join(this.#root, "fs", path), { force: true });
    this.#entries = this.#entries
      .filter(({ path }) => !gone.has(path))
      // The name that came first may be gone.
      .map((entry) => (entry.type === "file" && gone.has(entry.linkName) ? { ...entry, linkName: "" } : entry));
  }

  /**
   * Complains about a Dockerfile that is not there, in the classic builder's words. Links are followed by those who read it.
   *
   * @throws InvalidParameter
   */
  requireFile(name: string): void {
    const path = normalize(name).replace(/^\/+/, "");
    if (path === ".." || path.startsWith("../"))
      throw new EngineError("InvalidParameter", `forbidden path outside the build context: ${name} ()`);
    const types = new Map(this.#entries.map((entry) => [entry.path, entry.type]));
    const parts = path.split("/");
    const isThroughLink = parts.some((_, at) => types.get(parts.slice(0, at + 1).join("/")) === "symlink");
    const isDefault = path === "Dockerfile" && types.has("dockerfile");
    if (!types.has(path) && !isThroughLink && !isDefault)
      throw new EngineError("InvalidParameter", `Cannot locate specified Dockerfile: ${name}`);
  }

  /** The directory; disposing of it leaves the context, which may be asked for again. */
  directory(): SourceDirectory {
    return { path: join(this.#root, "fs"), entries: this.#entries, [Symbol.asyncDispose]: () => Promise.resolve() };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.#root, { recursive: true, force: true });
  }
}

/** Without its compression. */
async function plain(chunks: AsyncIterator<Uint8Array>): Promise<AsyncIterable<Uint8Array>> {
  const first = await chunks.next();
  if (first.done === true)
    throw new EngineError("InvalidParameter", "the build context is empty: send a tar with a Dockerfile in it");
  async function* whole(): AsyncGenerator<Uint8Array> {
    yield first.value as Uint8Array;
    yield* { [Symbol.asyncIterator]: () => chunks };
  }
  return openBounded(whole());
}

async function entriesOf(root: string, signal: AbortSignal): Promise<readonly SourceEntry[]> {
  const entries: SourceEntry[] = [];
  const firstNames = new Map<string, SourceEntry>();
  const walk = async (directory: string): Promise<void> => {
    for (const name of readdirSync(join(root, directory)).sort()) {
      const path = directory === "" ? name : `${directory}/${name}`;
      const entry = await entryOf(root, path, firstNames);
      entries.push(entry);
      if (entries.length % atOnce === 0) await pause(signal);
      if (entry.type === "directory") await walk(path);
    }
  };
  await walk("");
  return entries;
}

async function entryOf(root: string, path: string, firstNames: Map<string, SourceEntry>): Promise<SourceEntry> {
  const absolute = join(root, path);
  const stat = lstatSync(absolute, { bigint: true });
  const type = typeOf(stat);
  const key = `${stat.dev}:${stat.ino}`;
  const first = type === "file" && stat.nlink > 1n ? firstNames.get(key) : undefined;
  const entry: SourceEntry = {
    path,
    type,
    mode: Number(stat.mode) & 0o7777,
    uid: 0,
    gid: 0,
    size: type === "file" ? Number(stat.size) : 0,
    mtimeNs: stat.mtimeNs,
    linkName: type === "symlink" ? readlinkSync(absolute) : (first?.path ?? ""),
    xattrs: {},
    digest: type === "file" ? (first?.digest ?? (await digestOfFile(absolute, Number(stat.size)))) : undefined,
  };
  if (type === "file" && stat.nlink > 1n && first === undefined) firstNames.set(key, entry);
  return entry;
}

function typeOf(
  stat: Pick<Stats, "isFile" | "isDirectory" | "isSymbolicLink" | "isFIFO" | "isSocket" | "isCharacterDevice">,
): EntryType {
  if (stat.isFile()) return "file";
  if (stat.isDirectory()) return "directory";
  if (stat.isSymbolicLink()) return "symlink";
  if (stat.isFIFO()) return "fifo";
  if (stat.isSocket()) return "socket";
  return stat.isCharacterDevice() ? "char" : "block";
}

async function digestOfFile(path: string, size: number): Promise<Digest> {
  const hash = createHash("sha256");
  if (size <= smallFileBytes) hash.update(readFileSync(path));
  else
    for await (const chunk of createReadStream(path, { highWaterMark: smallFileBytes })) hash.update(chunk as Buffer);
  return `sha256:${hash.digest("hex")}` as Digest;
}

function pause(signal: AbortSignal): Promise<void> {
  signal.throwIfAborted();
  const { promise, resolve } = Promise.withResolvers<void>();
  setImmediate(resolve);
  return promise;
}
