// Sources from http: a download is kept with its ETag and Last-Modified, asked for again with both, and used while the server says
// that it did not change.
//
//   <dataRoot>/build/http/<hash>/body      the file
//   <dataRoot>/build/http/<hash>/download  what it is

import {
  createReadStream,
  createWriteStream,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { mkdtemp, rm, stat } from "node:fs/promises";

import { createHash } from "node:crypto";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { type Digest, parseDigest } from "../../../base/digest.ts";
import { EngineError } from "../../../base/errors.ts";
import { KeyedMutex } from "../../../base/mutex.ts";
import type { BuildClient } from "../client.ts";
import type { HttpOp, Op } from "../graph/index.ts";
import type { JobContext, OpRunner, ReclaimableStore, RunContext, Snapshot } from "../solver/index.ts";
import { download, type DownloadRequest, type DownloadResult, parseHttpUrl } from "./http-download.ts";
import { fileNameOf } from "./http-name.ts";
import type { SourceDirectories } from "./index.ts";
import { KeptDirectories } from "./kept-directories.ts";
import { withTimeLimit } from "./time-limit.ts";
import { keptKey } from "./tree-import.ts";

export interface HttpRunnerDeps {
  /** Downloads are kept below <dataRoot>/build/http. */
  readonly dataRoot: string;
  readonly directories: SourceDirectories;
  /** Of one download; 16 GiB where it is not said. */
  readonly maxBytes?: number;
}

interface Download {
  readonly digest: Digest;
  readonly size: number;
  readonly etag: string | undefined;
  readonly lastModified: string | undefined;
  readonly disposition: string | undefined;
  /** After redirects. */
  readonly finalUrl: string;
}

const defaultMaxBytes = 16 * 2 ** 30;
/** A download may take this long. */
const longestMs = 60 * 60_000;
/** Source: buildx, BuildKit's session/upload. */
const uploadHost = "buildkit-session";

export function createHttpRunner(deps: HttpRunnerDeps): OpRunner & { readonly reclaimable: ReclaimableStore } {
  const root = join(deps.dataRoot, "build", "http");
  const temporary = join(root, "tmp");
  rmSync(temporary, { recursive: true, force: true });
  mkdirSync(temporary, { recursive: true, mode: 0o700 });
  const downloads = new KeptDirectories(join(root, "downloads"), "regular");
  const locks = new KeyedMutex();
  const asked = new WeakMap<JobContext, Map<string, Download>>();

  /** What the address gives in this build; asked for once in a build, while its file is there. */
  async function fetch(
    op: HttpOp,
    path: string,
    job: JobContext,
    signal: AbortSignal,
    onBytes: DownloadProgress,
  ): Promise<Download> {
    const known = asked.get(job) ?? new Map<string, Download>();
    asked.set(job, known);
    using _lock = await locks.lock(op.url);
    signal.throwIfAborted();
    const kept = await readKept(path);
    const before = known.get(op.url);
    // An upload comes once, under an address of its own.
    if (kept !== undefined && (before?.digest === kept.digest || kept.digest === op.checksum || isUpload(op.url)))
      return kept;
    const fetched = await refresh(op.url, path, kept, job.client, signal, onBytes);
    known.set(op.url, fetched);
    return fetched;
  }

  async function refresh(
    url: string,
    path: string,
    kept: Download | undefined,
    client: BuildClient,
    signal: AbortSignal,
    onBytes: DownloadProgress,
  ): Promise<Download> {
    const headers: Record<string, string> = {};
    if (kept?.etag !== undefined) headers["if-none-match"] = kept.etag;
    else if (kept?.lastModified !== undefined) headers["if-modified-since"] = kept.lastModified;
    const work = await mkdtemp(join(temporary, "download-"));
    try {
      const wanted = {
        url,
        headers,
        path: join(work, "body"),
        maxBytes: deps.maxBytes ?? defaultMaxBytes,
        proxies: proxies(),
        onBytes,
      };
      const get = isUpload(url) ? receiveUpload : download;
      const result = await withTimeLimit(describe(url), longestMs, signal, (bounded) => get(wanted, bounded, client));
      if (result.kind === "unchanged") {
        if (kept !== undefined) return kept;
        throw new EngineError("Unavailable", `failed to load ${parseHttpUrl(url).host}: invalid response status 304`);
      }
      const { kind: _kind, url: final, ...rest } = result;
      const fetched: Download = { ...rest, finalUrl: final.href };
      rmSync(join(path, "download"), { force: true });
      renameSync(join(work, "body"), join(path, "body"));
      writeFileSync(join(path, "download"), JSON.stringify(fetched), { mode: 0o600 });
      return fetched;
    } finally {
      await rm(work, { recursive: true, force: true });
    }
  }

  return {
    reclaimable: downloads,
    async key(op, job, signal) {
      const http = httpOf(op);
      parseHttpUrl(http.url);
      if (http.checksum !== undefined) return http.checksum;
      using use = downloads.use(http.url, describe(http.url));
      const found = await fetch(http, use.path, job, signal, () => {});
      const name = fileNameOf(http.filename, found.disposition, new URL(found.finalUrl));
      return createHash("sha256")
        .update(JSON.stringify([found.digest, name, found.lastModified ?? ""]))
        .digest("hex");
    },
    async run(op: Op, _inputs: readonly Snapshot[], context: RunContext, signal: AbortSignal): Promise<Snapshot> {
      const http = httpOf(op);
      using use = downloads.use(http.url, describe(http.url));
      const status = `downloading ${describe(http.url).slice("download of ".length)}`;
      const found = await fetch(http, use.path, context.job, signal, (current, total) =>
        context.report.status(status, current, total, false),
      );
      context.report.status(status, found.size, found.size, true);
      if (http.checksum !== undefined && http.checksum !== found.digest)
        throw new EngineError("InvalidParameter", `digest mismatch ${found.digest}: ${http.checksum}`);
      const name = fileNameOf(http.filename, found.disposition, new URL(found.finalUrl));
      const key = keptKey(["http", found.digest, String(mtimeOf(found)), String(http.mode)], name);
      await using transfer = await deps.directories.begin(key, signal);
      transfer.entry({
        path: name,
        type: "file",
        mode: http.mode & 0o7777,
        uid: 0,
        gid: 0,
        size: found.size,
        mtimeNs: mtimeOf(found),
        linkName: "",
        xattrs: {},
      });
      for (const path of await transfer.settle()) {
        for await (const chunk of createReadStream(join(use.path, "body"), { highWaterMark: 1 << 18, signal }))
          await transfer.write(path, chunk as Buffer);
        await transfer.end(path);
      }
      return { kind: "directory", directory: await transfer.finish() };
    },
  };
}

type DownloadProgress = (current: number, total: number) => void;

/** What the client brings itself: a context from its standard input has an address on a host that does not exist. */
function isUpload(url: string): boolean {
  return parseHttpUrl(url).hostname === uploadHost;
}

/** @throws NotFound the client offers nothing at that address; InvalidParameter it is too large */
async function receiveUpload(
  wanted: DownloadRequest,
  signal: AbortSignal,
  client: BuildClient,
): Promise<DownloadResult> {
  const hash = createHash("sha256");
  let size = 0;
  const stream = await client.upload(wanted.url, signal);
  const counted = async function* (chunks: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
    for await (const chunk of chunks) {
      size += chunk.byteLength;
      if (size > wanted.maxBytes)
        throw new EngineError("InvalidParameter", `the context is larger than ${wanted.maxBytes} bytes`);
      hash.update(chunk);
      wanted.onBytes(size, size);
      yield chunk;
    }
  };
  await pipeline(stream, counted, createWriteStream(wanted.path, { mode: 0o600 }), { signal });
  const digest = `sha256:${hash.digest("hex")}` as Digest;
  const unsaid = { etag: undefined, lastModified: undefined, disposition: undefined };
  return { kind: "downloaded", digest, size, ...unsaid, url: new URL(wanted.url) };
}

function httpOf(op: Op): HttpOp {
  if (op.kind !== "http") throw new EngineError("System", `the http runner was given an op of kind ${op.kind}`);
  return op;
}

function describe(url: string): string {
  const { protocol, host, pathname } = parseHttpUrl(url);
  return `download of ${protocol}//${host}${pathname}`;
}

/** Last-Modified; 1970 where the server does not say. */
function mtimeOf(found: Download): bigint {
  const milliseconds = Date.parse(found.lastModified ?? "");
  return Number.isFinite(milliseconds) && milliseconds > 0 ? BigInt(milliseconds) * 1_000_000n : 0n;
}

function proxies(): { readonly httpProxy: string; readonly httpsProxy: string; readonly noProxy: string } {
  const variable = (name: string) => process.env[name.toUpperCase()] ?? process.env[name] ?? "";
  return { httpProxy: variable("http_proxy"), httpsProxy: variable("https_proxy"), noProxy: variable("no_proxy") };
}

async function readKept(path: string): Promise<Download | undefined> {
  try {
    const parsed = JSON.parse(readFileSync(join(path, "download"), "utf8")) as Partial<Record<keyof Download, unknown>>;
    const text = (value: unknown) => (typeof value === "string" ? value : undefined);
    const digest = parseDigest(text(parsed.digest) ?? "");
    const finalUrl = text(parsed.finalUrl);
    const size = parsed.size;
    if (finalUrl === undefined || !URL.canParse(finalUrl) || typeof size !== "number") return undefined;
    if ((await stat(join(path, "body"))).size !== size) return undefined;
    return {
      digest,
      size,
      finalUrl,
      etag: text(parsed.etag),
      lastModified: text(parsed.lastModified),
      disposition: text(parsed.disposition),
    };
  } catch {
    return undefined;
  }
}
