// docker save: the images' archive as a stream, made while it is read. No temporary files; memory holds the documents and a
// chunk. What the images have on disk is kept until the stream ends, however it ends.

import { Readable } from "node:stream";
import type { ChainId, Digest } from "../../base/digest.ts";
import { EngineError, messageOf } from "../../base/errors.ts";
import type { Named } from "../../base/reference.ts";
import { matchesPlatform, parsePlatform, renderPlatform } from "../../spec/oci/platform.ts";
import { optional, parseJson, parseObject, parseStringMap } from "../../spec/parse-json.ts";
import type { ImagesDeps } from "./images.ts";
import { type PlannedEntry, type SavedImage, planSave } from "./plan-save.ts";
import type { ImageRecord, ImageRecords } from "./records.ts";
import { selectSaved } from "./select-saved.ts";
import { renderTarHeader, tarEnd, tarPadding } from "./tar-writer.ts";
import { useImage } from "./use.ts";

/**
 * Opens the archive. What can be known to be wrong is thrown here; later the stream is destroyed with the error.
 *
 * @param platform `os/arch[/variant]` that every image must have, or undefined
 * @throws InvalidParameter, NotFound see selectSaved; no image of that platform
 * @throws DataLoss a config or a layer is gone, or a layer's tar cannot be given back
 */
export async function saveImages(
  deps: ImagesDeps,
  records: ImageRecords,
  names: readonly string[],
  platform: string | undefined,
  signal: AbortSignal,
): Promise<Readable> {
  await using held = new AsyncDisposableStack();
  const chosen: { readonly record: ImageRecord; readonly references: readonly Named[] }[] = [];
  {
    // A removal that is under way has planned without us: its image must be gone before we look.
    using _ = await deps.snapshots.lock();
    for (const [id, references] of selectSaved(records, names)) {
      held.use(useImage(deps, records, id));
      chosen.push({ record: recordOf(records, id), references });
    }
  }
  if (platform !== undefined && platform !== "") checkPlatform(chosen, platform);
  const images: SavedImage[] = [];
  for (const { record, references } of chosen)
    images.push({
      ...record,
      configBytes: await deps.content.read(record.id),
      references,
      annotations: await readAnnotations(deps, records, record.id),
    });
  const entries = planSave(images, (chainId) => deps.snapshots.tarBytes(chainId));
  signal.throwIfAborted();
  for (const { record } of chosen) deps.announce("save", record, record.id);

  const stop = new AbortController();
  const reading = AbortSignal.any([signal, stop.signal]);
  const archive = Readable.from(
    writeArchive(entries, (chainId) => deps.snapshots.tar(chainId, reading)),
    { objectMode: false, highWaterMark: 1 << 20, signal },
  );
  const releases = held.move();
  archive.once("close", () => {
    stop.abort();
    void releases.disposeAsync();
  });
  return archive;
}

function recordOf(records: ImageRecords, id: Digest): ImageRecord {
  const record = records.get(id);
  if (record === undefined) throw new EngineError("NotFound", `No such image: ${id}`);
  return record;
}

function checkPlatform(chosen: readonly { readonly record: ImageRecord }[], platform: string): void {
  const wanted = parsePlatform(platform);
  if (chosen.some(({ record }) => !matchesPlatform(record.config, wanted)))
    throw new EngineError("NotFound", `no suitable export target found for platform ${renderPlatform(wanted)}`);
}

/** Of the first manifest, by digest, that has some. A manifest that cannot be read is no reason not to save its image. */
async function readAnnotations(
  deps: ImagesDeps,
  records: ImageRecords,
  id: Digest,
): Promise<Readonly<Record<string, string>>> {
  const digests = records.manifestsOf(id).map(({ digest }) => digest);
  for (const digest of digests.sort()) {
    try {
      const manifest = parseObject(parseJson(await deps.content.read(digest), "manifest"), "manifest");
      const annotations = optional(manifest["annotations"], "annotations", parseStringMap);
      if (annotations !== undefined && Object.keys(annotations).length > 0) return annotations;
    } catch (error) {
      deps.logger.warn("saving without the annotations of a manifest", { manifest: digest, error: messageOf(error) });
    }
  }
  return {};
}

async function* writeArchive(
  entries: readonly PlannedEntry[],
  openLayer: (chainId: ChainId) => Readable,
): AsyncGenerator<Uint8Array> {
  for (const entry of entries) {
    const { path, mtimeSeconds } = entry;
    const sizeBytes = "layer" in entry ? entry.sizeBytes : entry.bytes.length;
    yield renderTarHeader({ path, mtimeSeconds, sizeBytes });
    if ("layer" in entry) yield* exactly(openLayer(entry.layer), sizeBytes, path);
    else if (sizeBytes > 0) yield entry.bytes;
    const padding = tarPadding(sizeBytes);
    if (padding.length > 0) yield padding;
  }
  yield tarEnd;
}

/** @throws DataLoss more or less bytes than the header says */
async function* exactly(layer: Readable, sizeBytes: number, path: string): AsyncGenerator<Uint8Array> {
  let bytes = 0;
  for await (const chunk of layer as AsyncIterable<Uint8Array>) {
    bytes += chunk.length;
    if (bytes > sizeBytes) break;
    yield chunk;
  }
  if (bytes !== sizeBytes)
    throw new EngineError("DataLoss", `layer ${path} has another length than the ${sizeBytes} bytes recorded`);
}
